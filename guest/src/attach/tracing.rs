//! Attaches programs that observe the kernel and its processes.
//!
//! libbpf attaches most of them as their section says. If a section does not name the whole target,
//! libbpf declines before it asks the kernel, so that is never a refusal.

use std::fs;
use std::io::Read;

use libbpf_sys as sys;

use super::calls::{self, IteratorTarget, Uprobe};
use super::stimulus::{Stimulus, burn, run_a_program, sockets, system_calls};
use super::{Attached, Attachment, Attempt, NotAttached, cgroup, self_probe};
use crate::kernel;

/// What makes most watchers run, cheapest first.
pub(super) fn everyday<'a>(attachment: &'a Attachment<'a>) -> Vec<Stimulus<'a>> {
    let [questions, files] = system_calls();
    vec![
        questions,
        files,
        Stimulus::new("runs a program", run_a_program),
        Stimulus::new("talks over the loopback", || {
            if attachment.network().is_ok() {
                sockets();
            }
        }),
    ]
}

/// What the section names, attached by libbpf itself.
pub(super) fn named<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    if attachment.program.attach_type() == sys::BPF_TRACE_ITER {
        return iterator(attachment);
    }
    if attachment.target.is_none_or(str::is_empty) {
        return Err(no_target(attachment));
    }
    if attachment.program.kind() == sys::BPF_PROG_TYPE_TRACEPOINT
        && let Some(event) = attachment.target.filter(|target| !target.contains('/'))
    {
        let events = kernel::tracepoints();
        let whole = with_category(event, &events);
        let whole = whole.map_or_else(String::new, |whole| format!(" (`{whole}` in this kernel)"));
        let what = format!("no category of its tracepoint{whole}");
        return Err(declined(attachment, &what));
    }
    let many = attachment.hook.contains(".multi") || attachment.hook.contains(".session");
    if !many
        && attachment
            .target
            .is_some_and(|target| target.contains(['*', '?']))
    {
        return Err(declined(attachment, "a pattern of targets"));
    }
    if let Some(target) = attachment
        .target
        .filter(|target| calls_itself(attachment.hook, target))
    {
        return Err(NotAttached::NotAttempted(format!(
            "the kernel calls `{target}` before or after each program of a trampoline, so this one would \
             be called without end, and the machine would hang: newer kernels refuse to load it"
        )));
    }
    let link = calls::auto(attachment.program)?;
    Ok(Attached::by(
        link,
        attachment.section(),
        everyday(attachment),
    ))
}

/// Functions that the kernel calls before and after each program of a trampoline: all that the
/// verifier's own list (`btf_id_deny` of kernel/bpf/verifier.c) has in any release. Older lists lack
/// some: Debian's 6.1 hangs with a program on `__rcu_read_lock`.
const CALLED_BY_TRAMPOLINES: &[&str] = &[
    "migrate_disable",
    "migrate_enable",
    "rcu_read_unlock_strict",
    "preempt_count_add",
    "preempt_count_sub",
    "__rcu_read_lock",
    "__rcu_read_unlock",
];

/// Whether a program of this section would be called by its own call. A kernel that has the target on
/// its list does not even load it.
fn calls_itself(hook: &str, target: &str) -> bool {
    let hook = hook.strip_suffix(".s").unwrap_or(hook);
    ["fentry", "fexit", "fmod_ret", "fsession"].contains(&hook)
        && CALLED_BY_TRAMPOLINES.contains(&target)
}

/// The tracepoint of this name, if one category alone has it.
fn with_category<'a>(event: &str, all: &'a [String]) -> Option<&'a str> {
    let is = |whole: &&String| whole.split_once('/').is_some_and(|(_, name)| name == event);
    let mut found = all.iter().filter(is);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn no_target(attachment: &Attachment<'_>) -> NotAttached {
    declined(attachment, "no target")
}

/// libbpf declines a section that does not say all of the place: no kernel is asked.
fn declined(attachment: &Attachment<'_>, names: &str) -> NotAttached {
    NotAttached::NotAttempted(format!(
        "its section `{}` names {names}: its own loader chooses one",
        attachment.section()
    ))
}

/// What the section of a user-space probe does not name and libbpf needs: `uprobe/FILE:FUNCTION`,
/// `usdt/FILE:PROVIDER:NAME`. libbpf 0.x took `uprobe/FUNCTION`.
fn unnamed(hook: &str, target: &str) -> Option<&'static str> {
    let (path, rest) = target.split_once(':').unwrap_or((target, ""));
    let is_whole = if hook.starts_with("usdt") {
        (rest.split_once(':'))
            .is_some_and(|(provider, name)| !provider.is_empty() && !name.is_empty())
    } else {
        !rest.is_empty()
    };
    match (path, is_whole) {
        ("", _) => Some("no binary"),
        (_, true) => None,
        (path, false) if !path.starts_with('/') => Some("no binary"),
        _ if hook.starts_with("usdt") => Some("no provider and probe"),
        _ => Some("no function"),
    }
}

/// kprobes, and user-space probes, which have the same type.
pub(super) fn probe<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let user = ["uprobe", "uretprobe", "usdt"]
        .iter()
        .any(|hook| attachment.hook.starts_with(hook));
    if !user {
        return named(attachment);
    }
    let Some(target) = attachment.target else {
        return own_function(attachment);
    };
    if let Some(what) = unnamed(attachment.hook, target) {
        return Err(declined(attachment, what));
    }
    let path = target.split(':').next().unwrap_or(target);
    if path.starts_with('/') && !fs::exists(path).unwrap_or(false) {
        return Err(NotAttached::NotAttempted(format!(
            "the guest has no `{path}`"
        )));
    }
    match calls::auto(attachment.program) {
        Ok(link) => Ok(Attached::by(
            link,
            attachment.section(),
            everyday(attachment),
        )),
        // libbpf looks for plain names where libraries and programs usually are.
        Err(libc::ENOENT) if !path.starts_with('/') => Err(NotAttached::NotAttempted(format!(
            "the guest has no `{path}`"
        ))),
        Err(errno) => Err(errno.into()),
    }
}

/// A user-space probe without a target: of a function of the agent.
fn own_function<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let Some((path, offset)) = self_probe::place() else {
        return Err(NotAttached::NotAttempted(
            "the agent could not find its own executable".into(),
        ));
    };
    let hook = attachment.hook;
    let link = if hook.starts_with("usdt") {
        calls::usdt(
            attachment.program,
            &path,
            self_probe::PROVIDER,
            self_probe::PROBE,
        )?
    } else {
        let how = Uprobe {
            returns: hook.starts_with("uretprobe"),
            multi: hook.contains(".multi") || hook.contains(".session"),
            session: hook.contains(".session"),
        };
        calls::uprobe(attachment.program, &path, offset, how)?
    };
    let stimulus = Stimulus::new("calls the function", || self_probe::target());
    Ok(Attached::by(
        link,
        format!("{hook} on a function of the agent"),
        vec![stimulus],
    ))
}

/// LSM hooks, of the whole system or of a cgroup.
pub(super) fn lsm<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    if attachment.program.attach_type() == sys::BPF_LSM_CGROUP {
        let mut attached = cgroup::attach(attachment)?;
        let cgroup = attachment
            .environment
            .cgroup()
            .map_err(NotAttached::NotAttempted)?;
        attached.method = format!("{} on a cgroup", attachment.section());
        attached
            .stimuli
            .push(Stimulus::new("makes system calls in it", || {
                cgroup.as_member(|| {
                    for call in &mut system_calls() {
                        (call.act)();
                    }
                    run_a_program();
                });
            }));
        return Ok(attached);
    }
    named(attachment)
}

/// Creates the iterator and reads it to its end.
fn iterator<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let Some(target) = attachment.target else {
        return Err(no_target(attachment));
    };
    let maps_of = |kinds: &[u32]| -> Vec<IteratorTarget> {
        let maps = attachment.object.maps();
        maps.iter()
            .filter(|map| kinds.contains(&map.kind()))
            .filter_map(crate::bpf::Map::fd)
            .map(IteratorTarget::Map)
            .collect()
    };
    let iterated = match target {
        "bpf_map_elem" => maps_of(&[
            sys::BPF_MAP_TYPE_HASH,
            sys::BPF_MAP_TYPE_LRU_HASH,
            sys::BPF_MAP_TYPE_PERCPU_HASH,
            sys::BPF_MAP_TYPE_LRU_PERCPU_HASH,
            sys::BPF_MAP_TYPE_ARRAY,
            sys::BPF_MAP_TYPE_PERCPU_ARRAY,
        ]),
        "bpf_sk_storage_map" => maps_of(&[sys::BPF_MAP_TYPE_SK_STORAGE]),
        "sockmap" => maps_of(&[sys::BPF_MAP_TYPE_SOCKMAP, sys::BPF_MAP_TYPE_SOCKHASH]),
        "cgroup" => {
            let cgroup = attachment
                .environment
                .cgroup()
                .map_err(NotAttached::NotAttempted)?;
            vec![IteratorTarget::Cgroup(cgroup.fd())]
        }
        _ => vec![IteratorTarget::Everything],
    };
    // Only its loader knows which of several maps is meant. An iterator that reads more of an element
    // than a map has is refused for that map, and is for another one.
    let mut links = (iterated.into_iter()).map(|map| calls::iterator(attachment.program, map));
    let first = links.next().ok_or_else(|| {
        NotAttached::NotAttempted(format!(
            "the object has no map that `iter/{target}` can iterate over"
        ))
    })?;
    let link = first.or_else(|refused| links.find_map(Result::ok).ok_or(refused))?;
    // An iterator that cannot be opened is not attached in any useful sense.
    let mut file = link.iterate()?;
    let read = Stimulus::new("reads the iterator", move || {
        // Bounded: a program may write for ever.
        let mut buffer = [0; 4096];
        for _ in 0..1024 {
            if !matches!(file.read(&mut buffer), Ok(1..)) {
                break;
            }
        }
    });
    Ok(Attached::by(
        link,
        format!("{}, created and read", attachment.section()),
        vec![read],
    ))
}

/// A clock of this process.
pub(super) fn perf_event<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let link = calls::perf_event(attachment.program)?;
    let stimulus = Stimulus::new("keeps the CPU busy", burn);
    Ok(Attached::by(
        link,
        "perf_event on the software CPU clock",
        vec![stimulus],
    ))
}

/// A `syscall` program has no hook: it is run.
pub(super) fn run<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    // As large a context as the kernel takes: it must hold whatever the program reads.
    let mut context = vec![0; usize::from(u16::MAX)];
    let returned = calls::test_run(attachment.fd, &mut context)?;
    let again = Stimulus::new("runs it once more", move || {
        let _ = calls::test_run(attachment.fd, &mut context);
    });
    let mut attached = Attached::without_link("run with BPF_PROG_TEST_RUN", vec![again], || Ok(()));
    attached.note = Some(format!("it returned {}", returned.cast_signed()));
    Ok(attached)
}

#[cfg(test)]
mod tests {
    use super::{calls_itself, unnamed, with_category};

    #[test]
    fn a_tracepoint_is_named_with_its_category_if_one_alone_has_it() {
        let all = ["sched/sched_switch", "tcp/retransmit", "udp/retransmit"].map(str::to_owned);
        assert_eq!(
            with_category("sched_switch", &all),
            Some("sched/sched_switch")
        );
        assert_eq!(with_category("retransmit", &all), None);
        assert_eq!(with_category("sched", &all), None);
    }

    #[test]
    fn a_program_that_its_own_trampoline_calls_is_told_by_its_target() {
        assert!(calls_itself("fentry", "__rcu_read_lock"));
        assert!(calls_itself("fexit.s", "migrate_enable"));
        assert!(!calls_itself("kprobe", "__rcu_read_lock"));
        assert!(!calls_itself("fentry", "rcu_read_lock_held"));
    }

    #[test]
    fn a_section_without_a_binary_is_told_from_a_whole_one() {
        assert_eq!(unnamed("uretprobe", "readline"), Some("no binary"));
        assert_eq!(unnamed("uprobe.s", "readline+0x10"), Some("no binary"));
        assert_eq!(unnamed("uprobe.multi", "malloc*"), Some("no binary"));
        assert_eq!(unnamed("usdt", "python:function__entry"), Some("no binary"));
        assert_eq!(unnamed("uprobe", "/bin/bash"), Some("no function"));
        assert_eq!(unnamed("usdt", "/bin/x:p"), Some("no provider and probe"));
        assert_eq!(unnamed("uprobe", "libc.so.6:malloc"), None);
        assert_eq!(unnamed("uprobe", "/bin/x:space::function"), None);
        assert_eq!(unnamed("uprobe", "/proc/self/exe:main+4"), None);
        assert_eq!(unnamed("usdt", "/bin/x:p:n"), None);
    }
}
