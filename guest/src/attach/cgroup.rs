//! Attaches cgroup programs. It uses a scratch cgroup, and never one that contains other processes.

use super::stimulus::{Stimulus, a_members_life};
use super::{Attached, Attachment, Attempt, NotAttached, calls};

/// Attaches to the scratch cgroup; a member's sockets, devices and settings make it run.
pub(super) fn attach<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let cgroup = attachment
        .environment
        .cgroup()
        .map_err(NotAttached::NotAttempted)?;
    attachment.network()?;
    let link = calls::cgroup(attachment.program, cgroup.fd())?;
    let stimulus = Stimulus::new("opens sockets and a device in the cgroup", || {
        cgroup.as_member(a_members_life);
    });
    let hook = crate::bpf::attach_type_name(attachment.program.attach_type());
    let method = format!(
        "{} on a cgroup",
        hook.unwrap_or_else(|| attachment.section())
    );
    Ok(Attached::by(link, method, vec![stimulus]))
}
