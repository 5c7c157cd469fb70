//! Programs of control groups.

use super::stimulus::{Stimulus, a_members_life};
use super::{Attached, Attempt, NotAttached, Scene, calls};

/// Attaches to the scratch cgroup; a member's sockets, devices and settings make it run.
pub(super) fn cgroup<'a>(scene: &'a Scene<'a>) -> Attempt<'a> {
    let cgroup = scene.site.cgroup().map_err(NotAttached::NotAttempted)?;
    scene.network()?;
    let link = calls::cgroup(scene.program, cgroup.fd())?;
    let stimulus = Stimulus::new("opens sockets and a device in the cgroup", || {
        cgroup.as_member(a_members_life);
    });
    let hook = crate::bpf::attach_type_name(scene.program.attach_type());
    let method = format!("{} on a cgroup", hook.unwrap_or_else(|| scene.section()));
    Ok(Attached::by(link, method, vec![stimulus]))
}
