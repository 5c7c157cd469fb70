//! Runs a command for the host: it makes the command's files, starts it, passes its output on and
//! its input in, and reports how it ended.
//!
//! The input is a request and the contents of its files. The output is evidence, and the files
//! that the command left for the host. Every process of the guest but the agent itself is the
//! command's, so that ending the command means ending all of them: neither a control group nor a
//! PID namespace of ours is in its way.

mod files;
mod left;
mod libbpf_lines;
mod pipes;
mod processes;
pub(crate) mod root;
mod start;
mod streams;
pub(crate) mod surroundings;
mod terminal;

use ukci_guest::guest_facts::Identity;
use ukci_guest::kernel_files::KernelFiles;
use ukci_guest::{bpf, kmsg, modules};
use ukci_schema::command::{Command, CommandEvidence, CommandRequest};
use ukci_schema::evidence::{self, Evidence, GuestFacts, Module};
use ukci_schema::message::{FromGuest, ModuleFile};
use ukci_schema::userland::Network;
use ukci_schema::verdict::Stage;

use crate::{HostChannel, lost, network, receive, set, system};

/// What the kernel's log is said to come of while a command runs.
const DOING: &str = "command";

/// Carries a request out, from its first file to the last word.
pub(crate) fn serve(
    channel: &mut HostChannel,
    request: &CommandRequest,
    mut facts: GuestFacts,
    kernel_files: KernelFiles,
) -> Result<(), String> {
    let command = &request.command;
    // First of all, as with an object.
    system::set_clock(request.time);
    system::add_entropy(kernel_files.random.as_ref(), &request.entropy);
    Identity::draw(kernel_files.boot_id).tell(&mut facts);
    for ModuleFile { name, size } in &request.modules {
        let module = receive(channel, &format!("the module `{name}`"), Some(*size))?;
        modules::keep(name, &module)?;
    }
    // They are not in the new root.
    facts.modules.extend(load(&command.modules)?);
    if command.network == Network::User {
        facts.modules.extend(network::load_driver());
    }
    if command.root.is_some() {
        facts.modules.extend(root::enter()?);
    }
    if command.host_root {
        facts.modules.extend(root::enter_hosts()?);
    }
    surroundings::make();
    files::receive(channel, command)?;
    surroundings::complete(command)?;
    if command.network == Network::User {
        network::user_network_up()?;
    }
    let edits = set(&request.sysctl)?;
    channel
        .say(&FromGuest::Progress {
            stage: Stage::Behave,
            doing: DOING.into(),
        })
        .map_err(lost)?;
    let mut kernel = kmsg::Recorder::from_now(kernel_files.log, Stage::Behave, DOING);
    let streams::Run {
        mut seen,
        watcher,
        libbpf,
    } = streams::run(channel, command)?;
    left::send(channel, command, &mut seen)?;
    kernel.begin(Stage::Behave, DOING);
    let said = kernel.finish();
    let mut evidence = Evidence {
        edits,
        kmsg: said.lines,
        kmsg_marks: said.marks,
        ..evidence(facts, seen)
    };
    if let Some(watcher) = watcher {
        watcher.finish(&libbpf, &mut evidence);
    }
    let evidence = Box::new(evidence);
    channel.say(&FromGuest::Reply { evidence }).map_err(lost)?;
    channel.say(&FromGuest::Done).map_err(lost)
}

fn evidence(guest: GuestFacts, command: CommandEvidence) -> Evidence {
    Evidence {
        schema: evidence::SCHEMA.into(),
        libbpf: bpf::libbpf_version(),
        guest,
        command: Some(command),
        ..Evidence::default()
    }
}

/// Loads the modules that were asked for. One that cannot be loaded is an error: the command would
/// be run without what it needs.
fn load(names: &[String]) -> Result<Vec<Module>, String> {
    let mut done = Vec::new();
    for name in names {
        let loaded = modules::load(name);
        if let Some(error) = loaded.iter().find_map(|module| module.error.as_ref()) {
            return Err(format!("load the module `{name}`: {error}"));
        }
        done.extend(loaded);
    }
    Ok(done)
}

/// The start of a command that the kernel refused, in words.
fn refused(command: &Command, error: &std::io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::ENOEXEC) => "it is no program for this kernel",
        Some(libc::ENOENT) => "it, or the interpreter that it names, is missing",
        _ => return format!("start `{}`: {error}", command.program),
    };
    format!("start `{}`: {error}: {why}", command.program)
}
