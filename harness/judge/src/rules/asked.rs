//! Compares what a program needs with what this kernel has according to its probes.

use super::{helper, kfunc, map, object, target};
use crate::case::{Case, needs_option};
use crate::errno::EINVAL;
use crate::finding::{Rule, at_load, brought};
use crate::said::Said;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::FeatureKind;
use ukci_schema::history;
use ukci_schema::section::{ADDRESSES, CGROUP, SECTIONS};

/// In this order.
pub(crate) const RULES: &[Rule] = &[
    ("map", refused_map),
    ("kconfig", kconfig),
    ("kfunc-missing", kfunc::missing),
    ("kfunc-mismatch", kfunc::mismatch),
    ("ksym", ksym),
    ("struct-ops", struct_ops),
    ("kernel-btf", kernel_btf),
    ("loader-contract", loader_contract),
    ("program-type", program_type),
    ("xdp-frags", xdp_frags),
    ("denied-target", denied_target),
    ("target", target::missing),
    ("lockdown", helper::lockdown),
    ("helper", helper::missing),
    ("attach-type", target::unknown_at_load),
];

fn refused_map(case: &Case<'_>) -> Option<Diagnosis> {
    // A `struct_ops` map is not tried alone: libbpf names it when it loads a program of it.
    let uncreated = case
        .verifier_line("is referenced but wasn't created")
        .and_then(|line| text::quoted_after(line, "BPF map"));
    let failed = case.heard_alone(|said| match *said {
        Said::MapFailed { map, .. } => Some(map),
        _ => None,
    });
    let named: Vec<String> = uncreated
        .into_iter()
        .chain(failed)
        .map(str::to_owned)
        .collect();
    map::refused_among(case.whole, &named)
        .or_else(|| map::refused_among(case.whole, &case.program.maps))
}

/// Values of the kernel's configuration lie in a map of their own, so a program that reads one is
/// known. Of several that are missing, each program's own load names its own.
fn kconfig(case: &Case<'_>) -> Option<Diagnosis> {
    if case.is_silent()
        && let Some(found) = object::kconfig(case.evidence, &case.said)
    {
        return Some(found);
    }
    if !case.program.maps.iter().any(|name| name == ".kconfig") {
        return None;
    }
    object::kconfig(case.evidence, &case.whole.said)
}

/// A kernel variable that is missing reads as address 0 in the copy, and the verifier then refuses
/// to follow it: that refusal is of our making, and the missing variable is the reason. Where the
/// program's own load was given up over it, libbpf names it.
fn ksym(case: &Case<'_>) -> Option<Diagnosis> {
    if case.is_silent()
        && let Some(found) = object::ksym(case.whole, &case.said)
    {
        return Some(found);
    }
    let sentence = case.sentence.as_deref()?;
    let followed = ["scalar'", "inv'", "imm'"]
        .iter()
        .any(|end| sentence.ends_with(end));
    let followed = followed && sentence.contains("invalid mem access");
    // 5.10 looks for a variable at the number 0 of its BTF.
    let unfound = sentence.contains("isn't KIND_VAR");
    (case.program.load.isolated && (followed || unfound))
        .then(|| object::ksym(case.whole, &case.whole.said))?
}

fn struct_ops(case: &Case<'_>) -> Option<Diagnosis> {
    (case.program.program_type == "struct_ops")
        .then(|| case.heard(|said| object::operations(case.evidence, said)))?
}

fn kernel_btf(case: &Case<'_>) -> Option<Diagnosis> {
    if case.evidence.guest.btf_bytes.is_some() || !case.is_silent() {
        return None;
    }
    case.heard(|said| matches!(said, Said::KernelBtf(_)).then_some(()))?;
    Some(object::no_kernel_btf())
}

/// libbpf asks for something that only the object's own loader can say.
fn loader_contract(case: &Case<'_>) -> Option<Diagnosis> {
    let said = |what: &Said<'_>| case.said.contains(what);
    let hook = case.section().split('/').next().unwrap_or_default();
    let renamed;
    let (headline, hint) = if said(&Said::NoProgramType) {
        (
            format!(
                "section `{}` names no program type, so the loader of {} must set it",
                case.section(),
                case.name()
            ),
            if hook.strip_suffix(".s").is_some() {
                "drop the `.s`: libbpf knows sleepable programs of other kinds only, such as `fentry.s`, \
                 `lsm.s`, `iter.s` and `uprobe.s`"
            } else if let Some(known) = known_beginning(case.section()) {
                renamed = format!(
                    "write `SEC(\"{known}\")`, which libbpf knows, in place of `SEC(\"{}\")`; or call \
                     `bpf_program__set_type`, or give the type in the manifest",
                    case.section()
                );
                &renamed
            } else if let Some(meant) = misspelt(case.section()) {
                renamed = format!(
                    "write `SEC(\"{meant}\")`, if that is what `{}` stands for; a loader may also call \
                     `bpf_program__set_type`, and a manifest may give the type",
                    case.section()
                );
                &renamed
            } else {
                "name the section as libbpf knows it, call `bpf_program__set_type`, or give the type \
                 in the manifest"
            },
        )
    } else if said(&Said::NoTargetProgram) {
        (
            format!(
                "{} (`{}`) replaces a function of a program that its loader must name",
                case.name(),
                case.section()
            ),
            "call `bpf_program__set_attach_target` before the load, or name the target object in \
             the manifest",
        )
    } else if said(&Said::NoTarget) {
        (
            format!(
                "{} (`{}`) does not name a function to attach to, so its loader must",
                case.name(),
                case.section()
            ),
            "call `bpf_program__set_attach_target` before the load, or name the target in the \
             manifest",
        )
    } else if said(&Said::Unreferenced) {
        (
            format!(
                "{} is a `struct_ops` program that no map refers to",
                case.name()
            ),
            "refer to it from a variable in `SEC(\".struct_ops\")`",
        )
    } else {
        return None;
    };
    Some(at_load(Code::LoaderContract, headline, &[hint]))
}

/// `btf_id_deny` of kernel/bpf/verifier.c: functions that the kernel's trampolines call.
const DENIED: &[&str] = &[
    "___migrate_enable",
    "__rcu_read_lock",
    "__rcu_read_unlock",
    "migrate_disable",
    "migrate_enable",
    "preempt_count_add",
    "preempt_count_sub",
    "rcu_read_unlock_strict",
];

/// Kernels without 863aab3d4dcd refuse these without a word.
fn denied_target(case: &Case<'_>) -> Option<Diagnosis> {
    let target = case.program.target.as_deref()?;
    let refused = case.program.load.errno == Some(EINVAL) && case.is_silent();
    if case.program.program_type != "tracing" || !refused || !DENIED.contains(&target) {
        return None;
    }
    let headline = format!(
        "the kernel lets no BTF-based tracing program onto `{target}`, and {} (`{}`) is one",
        case.name(),
        case.section()
    );
    Some(at_load(
        Code::VerifierRejection,
        headline,
        &[
            "attach to another function, such as one that calls it: the kernel's own trampolines call this one",
        ],
    ))
}

/// Sections that libbpf takes as they are, where libbpf before 1.0 took any name that began so
/// (`section_defs` of libbpf).
const WHOLE_SECTIONS: &[&str] = &[
    "action",
    "cgroup/dev",
    "cgroup/skb",
    "cgroup/sock",
    "cgroup/sysctl",
    "cgroup_skb/egress",
    "cgroup_skb/ingress",
    "classifier",
    "flow_dissector",
    "lirc_mode2",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "perf_event",
    "sk_msg",
    "sk_reuseport",
    "sk_skb",
    "sk_skb/stream_parser",
    "sk_skb/stream_verdict",
    "socket",
    "sockops",
    "tc",
    "xdp",
];

/// The section that libbpf knows of those that this one begins with: `xdp` of `xdp_pass`.
fn known_beginning(section: &str) -> Option<&'static str> {
    let begins = |known: &&&str| {
        section
            .strip_prefix(**known)
            .is_some_and(|rest| rest.starts_with(|c: char| !c.is_ascii_lowercase()))
    };
    let known = WHOLE_SECTIONS.iter().filter(begins);
    known
        .max_by_key(|known| known.len())
        .map(|known| if *known == "classifier" { "tc" } else { known })
}

/// The section that differs from this one by a slip of the fingers: `kprobe/f` of `krpobe/f`. Words
/// that merely begin alike, as `xdp_pass` does, are no slips.
fn misspelt(section: &str) -> Option<String> {
    let (word, rest) = match section.split_once('/') {
        Some((word, rest)) => (word, Some(rest)),
        None => (section, None),
    };
    let words = SECTIONS.iter().map(|(word, _)| *word).chain(["cgroup"]);
    if let ("cgroup", Some(rest)) = (word, rest) {
        let digit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let hooks = CGROUP.iter().map(|(hook, _)| *hook);
        let known = ADDRESSES.iter().copied().chain(hooks);
        let hook = one_slip_from(&rest[..digit], known)?;
        return Some(format!("cgroup/{hook}{}", &rest[digit..]));
    }
    let (bare, suffix) = word.split_at(word.find('.').unwrap_or(word.len()));
    let known = one_slip_from(bare, words)?;
    let rest = rest.map_or(String::new(), |rest| format!("/{rest}"));
    Some(format!("{known}{suffix}{rest}"))
}

/// The first word with one letter more, less or other than this one, or with two that changed places.
/// Short words are one slip from too many others.
fn one_slip_from(
    word: &str,
    mut known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let near = known.try_fold(None, |near, known| {
        match strsim::osa_distance(word, known) {
            // It is a word itself.
            0 => Err(()),
            1 if known.len() > 3 => Ok(near.or(Some(known))),
            _ => Ok(near),
        }
    });
    near.ok().flatten()
}

/// The verifier is reached only with a type that the kernel knows.
fn program_type(case: &Case<'_>) -> Option<Diagnosis> {
    let kind = &case.program.program_type;
    case.features(FeatureKind::ProgramType, kind)
        .find(|f| f.present == Some(false))?;
    if !case.is_silent() {
        return None;
    }
    let headline = format!(
        "the kernel has no program type `{kind}`{}, which is the type of {}",
        brought(&case.evidence.guest.release, history::program_type(kind)),
        case.name()
    );
    let mut found = at_load(
        Code::UnsupportedProgramType,
        headline,
        &[
            "switch the program off if the kernel lacks the type (`bpf_program__set_autoload`)",
            "call `libbpf_probe_bpf_prog_type()` before the load, or expect this failure in the matrix",
        ],
    );
    let option = match kind.as_str() {
        "lirc_mode2" => "BPF_LIRC_MODE2",
        "netfilter" => "NETFILTER_BPF_LINK",
        "lsm" => "BPF_LSM",
        "lwt_in" | "lwt_out" | "lwt_xmit" => "LWTUNNEL_BPF",
        "kprobe" | "tracepoint" | "perf_event" | "raw_tracepoint" => "BPF_EVENTS",
        "cgroup_skb" | "cgroup_sock" | "cgroup_device" | "cgroup_sysctl" | "cgroup_sockopt"
        | "cgroup_sock_addr" | "sock_ops" => "CGROUP_BPF",
        _ => return Some(found),
    };
    let needed = needs_option(case.evidence, option, history::program_type(kind));
    found.hints.splice(0..0, needed);
    Some(found)
}

/// The flag of `SEC("xdp.frags")`, `BPF_F_XDP_HAS_FRAGS`, is of 5.18 (c2f2cdbeffda). A kernel
/// that does not know it refuses the attributes without a word.
fn xdp_frags(case: &Case<'_>) -> Option<Diagnosis> {
    let refused = case.program.load.errno == Some(EINVAL) && case.is_silent();
    let older = history::is_older(&case.evidence.guest.release, "5.18");
    if !case.section().starts_with("xdp.frags") || !refused || !older {
        return None;
    }
    let headline = format!(
        "the kernel does not accept `xdp.frags` programs (mainline 5.18), and {} is one",
        case.name()
    );
    Some(at_load(
        Code::UnsupportedProgramType,
        headline,
        &[
            "load it as plain `xdp` if the kernel has no multi-buffer XDP: clear \
         BPF_F_XDP_HAS_FRAGS with `bpf_program__set_flags`",
        ],
    ))
}

#[cfg(test)]
mod tests {
    use super::{known_beginning, misspelt};

    #[test]
    fn a_slip_of_the_fingers_is_told_from_another_word() {
        for (section, meant) in [
            ("krpobe/do_unlinkat", "kprobe/do_unlinkat"),
            ("kprobes/do_unlinkat", "kprobe/do_unlinkat"),
            ("fenty/do_unlinkat", "fentry/do_unlinkat"),
            ("fenrty.s/do_unlinkat", "fentry.s/do_unlinkat"),
            (
                "tracepont/syscalls/sys_enter_openat",
                "tracepoint/syscalls/sys_enter_openat",
            ),
            ("cgroup/conect4", "cgroup/connect4"),
            ("cgruop/connect4", "cgroup/connect4"),
            ("sk_lokup", "sk_lookup"),
        ] {
            assert_eq!(misspelt(section).as_deref(), Some(meant), "{section}");
        }
        for section in [
            "xdp_pass",
            "tcp",
            "my_prog",
            "kprobe/x",
            "prog1",
            "cgroup/other",
            "socket1x",
        ] {
            assert_eq!(misspelt(section), None, "{section}");
        }
    }

    #[test]
    fn sections_of_older_libbpf_are_known_by_their_beginning() {
        for (section, known) in [
            ("xdp_pass", "xdp"),
            ("xdp/prog0", "xdp"),
            ("classifier/ingress", "tc"),
            ("tc_ingress", "tc"),
            ("socket1", "socket"),
            ("sk_skb/stream_verdict/x", "sk_skb/stream_verdict"),
        ] {
            assert_eq!(known_beginning(section), Some(known), "{section}");
        }
        for section in ["xdpdump", "my_prog", "tcp", "xdp", "socketfilter"] {
            assert_eq!(known_beginning(section), None, "{section}");
        }
    }
}
