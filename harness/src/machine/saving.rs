//! Makes templates: boots a guest to its ready point, saves it, and puts it into the cache.

use std::io;
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use ukci_schema::cell::Arch;

use super::interface::{Boot, Guest, NoTemplate};
use super::migration;
use super::qemu::Qemu;
use super::start;
use super::template::{Begun, Making, Place, Template};
use super::{template_key, unprivileged};
use crate::conversation;
use crate::transport::Transport;

/// Longest time for saving, which takes some 20 ms.
const SAVE: Duration = Duration::from_mins(1);

/// The template of guests that boot like this, if there is one.
pub(super) async fn find(qemu: &Qemu, boot: &Boot) -> Option<Template> {
    allowed(qemu, boot).ok()?;
    let (qemu, boot) = (qemu.clone(), boot.clone());
    let found = spawn_blocking(move || {
        let (key, _) = template_key::of(&qemu, &boot).ok()?;
        Template::open(&Place::of(qemu.cache()).dir(&key))
    });
    found.await.ok()?
}

/// Makes the template of guests that boot like this, unless there is one.
pub(super) async fn make(
    qemu: &Qemu,
    boot: &Boot,
    limit: Duration,
    rests: &(dyn Fn() + Sync),
) -> Result<Template, NoTemplate> {
    let (of, like) = (qemu.clone(), boot.clone());
    let begun = spawn_blocking(move || begin(&of, &like)).await;
    let Beginning { begun, key, inputs } = begun.map_err(failed)??;
    let making = match begun {
        Begun::Made(template) => return Ok(template),
        Begun::Making(making) => making,
    };
    let saved = save(qemu, boot, limit, rests, making, inputs).await;
    if let Err(NoTemplate::Failed(why)) = &saved {
        Place::of(qemu.cache()).refuse(&key, why);
    }
    saved
}

/// Boots the guest, saves it, and puts it in its place.
async fn save(
    qemu: &Qemu,
    boot: &Boot,
    limit: Duration,
    rests: &(dyn Fn() + Sync),
    making: Making,
    inputs: Vec<String>,
) -> Result<Template, NoTemplate> {
    let boot = Boot {
        evidence: making.dir().to_owned(),
        ..boot.clone()
    };
    let group = (qemu.user(boot.cell.arch).is_ok()).then(unprivileged::draw_id);
    let ram = making.ram(boot.memory, group).map_err(failed)?;
    let guest = start::to_be_saved(qemu, boot, &ram).await;
    let guest = guest.map_err(|fault| NoTemplate::Failed(fault.headline))?;
    // The port stays open until the guest is saved: it would hear of its end.
    let settled = conversation::settle(guest, limit, qemu.slowdown(), rests).await;
    let (mut guest, hello, port) = settled.map_err(|fault| NoTemplate::Failed(fault.headline))?;
    let state = match timeout(SAVE, migration::save(guest.qmp())).await {
        Ok(saved) => saved.map_err(failed)?,
        Err(_) => return Err(NoTemplate::Failed("QEMU did not save it in time".into())),
    };
    // It does not run on, and its memory is in the file however QEMU ends.
    guest.stop().await;
    drop(port);
    let finished = spawn_blocking(move || making.finish(inputs, &state, hello)).await;
    finished.map_err(failed)?.map_err(failed)
}

/// What is known before a guest boots to be saved.
struct Beginning {
    begun: Begun,
    key: String,
    inputs: Vec<String>,
}

/// Waits for the others who make it, and sees whether there is room for it.
fn begin(qemu: &Qemu, boot: &Boot) -> Result<Beginning, NoTemplate> {
    allowed(qemu, boot)?;
    let place = Place::of(qemu.cache());
    let (key, inputs) = template_key::of(qemu, boot).map_err(failed)?;
    if let Some(why) = place.refusal(&key) {
        return Err(failed(format!(
            "{why} (this is remembered for ten minutes, or until `ukci cache clear templates`)"
        )));
    }
    let begun = place.begin(&key).map_err(failed)?;
    if let Begun::Making(making) = &begun {
        room(making, boot.memory)?;
    }
    Ok(Beginning { begun, key, inputs })
}

/// Whether guests that boot like this may be copied: with this transport, and on this architecture.
fn allowed(qemu: &Qemu, boot: &Boot) -> Result<(), NoTemplate> {
    match (qemu.requested_link(), boot.cell.arch) {
        (Some(other), _) if other != Transport::VirtioSerial => {
            Err(NoTemplate::Transport(other.name()))
        }
        _ if !Transport::VirtioSerial.is_served(&boot.no_driver_for) => {
            Err(NoTemplate::Transport(qemu.link(&boot.no_driver_for).name()))
        }
        (_, Arch::Riscv64) => Err(NoTemplate::Timers(Arch::Riscv64)),
        (_, Arch::X86_64 | Arch::Aarch64) => Ok(()),
    }
}

/// The guest's memory must fit as a whole: QEMU would be killed where the disk is full, and a guest
/// may come to use all of it.
fn room(making: &Making, memory: u32) -> Result<(), NoTemplate> {
    let stat = statvfs(making.dir()).map_err(|errno| failed(io::Error::from(errno)))?;
    let available = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
    let needed = u64::from(memory) + SPARE;
    if available < needed {
        let path = making.dir().parent().unwrap_or(making.dir()).to_owned();
        return Err(NoTemplate::NoRoom {
            path,
            available,
            needed,
        });
    }
    Ok(())
}

/// What must be free beside the memory, in MiB: a run writes more than templates.
const SPARE: u64 = 64;

fn failed(error: impl std::fmt::Display) -> NoTemplate {
    NoTemplate::Failed(error.to_string())
}
