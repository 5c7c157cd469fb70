//! Kfuncs that are missing, switched off by a kernel option, or have another prototype.

use crate::case::{Case, Whole};
use crate::finding::{at_load, brought, of};
use crate::said::Said;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::history;
use ukci_schema::verdict::Stage;

/// The option that the kfuncs with a name, or with the beginning of one, are built by. A test compares
/// each row with the packages of Debian's kernels (`tests/kfunc_options.tsv`): where the option is off
/// no part of the package has the kfunc, and where it is a module, that module has it. A row counts
/// only if the kernel's own configuration has the option off.
const OPTIONS: &[(&str, &str)] = &[
    ("bbr_", "TCP_CONG_BBR"),
    ("bpf_crypto_", "CRYPTO"),
    ("bpf_ct_set_nat_info", "NF_NAT"),
    ("bpf_ct_", "NF_CONNTRACK"),
    ("bpf_get_fsverity_digest", "FS_VERITY"),
    ("bpf_key_put", "KEYS"),
    ("bpf_lookup_system_key", "KEYS"),
    ("bpf_lookup_user_key", "KEYS"),
    ("bpf_qdisc_", "NET_SCH_BPF"),
    ("bpf_skb_ct_", "NF_CONNTRACK"),
    ("bpf_skb_get_fou_encap", "NET_FOU"),
    ("bpf_skb_get_xfrm_info", "XFRM_INTERFACE"),
    ("bpf_skb_set_fou_encap", "NET_FOU"),
    ("bpf_skb_set_xfrm_info", "XFRM_INTERFACE"),
    ("bpf_verify_pkcs7_signature", "SYSTEM_DATA_VERIFICATION"),
    ("bpf_xdp_ct_", "NF_CONNTRACK"),
    ("bpf_xdp_flow_lookup", "NF_FLOW_TABLE"),
    ("cubictcp_", "TCP_CONG_CUBIC"),
    ("dctcp_", "TCP_CONG_DCTCP"),
    ("hid_bpf_", "HID_BPF"),
    ("scx_bpf_", "SCHED_CLASS_EXT"),
];

/// libbpf's name for the kernel itself among the owners of BTF.
const KERNEL: &str = "vmlinux";

/// A kfunc that this release has and this kernel is built without: its own configuration says so.
pub(crate) fn switched_off(whole: &Whole<'_>, name: &str, caller: &str) -> Option<Diagnosis> {
    let (_, option) = OPTIONS.iter().find(|(start, _)| name.starts_with(start))?;
    let config = &whole.evidence.guest.config;
    let off = config.get(*option).is_some_and(|value| value == "n");
    let older = history::kfunc(name)
        .is_none_or(|release| history::is_older(&whole.evidence.guest.release, release));
    if !off || older {
        return None;
    }
    let mut found = of(
        Code::MissingKernelConfig,
        Stage::Load,
        format!(
            "the kernel is built without CONFIG_{option}, which kfunc `{name}` needs, and {caller} \
             calls it"
        ),
        "use a kernel with the option, or leave the program out if it is off \
         (`bpf_program__set_autoload`)",
    );
    found.hints.push(format!(
        "or declare it `__weak` and test `bpf_ksym_exists({name})` before the call"
    ));
    Some(found)
}

fn is_strong(case: &Case<'_>, name: &str) -> bool {
    case.evidence
        .object
        .externs
        .iter()
        .any(|known| known.name == name && !known.weak)
}

/// A kfunc that the kernel does not have, or was built without.
pub(crate) fn missing(case: &Case<'_>) -> Option<Diagnosis> {
    let absent = |name: &&String| {
        case.features(FeatureKind::Kfunc, name)
            .any(|f| f.present == Some(false))
    };
    // What is weak may be missing: then the verifier must have stumbled over it.
    let unresolved = |name: &&&String| {
        let line = format!("kfunc '{name}' is referenced but wasn't resolved");
        case.verifier_line(&line).is_some()
    };
    let unfound = |name: &&&String| {
        let said = |said: &Said<'_>| (*said == Said::KfuncMissing(name)).then_some(());
        is_strong(case, name) || case.heard(said).is_some()
    };
    let absent: Vec<&String> = case.program.kfuncs.iter().filter(absent).collect();
    // The one at the line that the verifier came to, if it says so.
    let name = (absent.iter().find(unresolved)).or_else(|| absent.iter().find(unfound))?;
    if let Some(mut found) = switched_off(case.whole, name, &case.name()) {
        // Not every finding of the code is of an instruction; this one is of the call.
        let load = &case.program.load;
        found.at = load.at.clone().or_else(|| text::source_line(&load.log));
        return Some(found);
    }
    let detail = case
        .features(FeatureKind::Kfunc, name)
        .find_map(|f| f.detail.as_deref());
    let headline = format!(
        "the kernel has no kfunc `{name}`{}, which {} calls",
        brought(&case.evidence.guest.release, history::kfunc(name)),
        case.name()
    );
    let weak = if is_strong(case, name) {
        format!("declare it `__weak` and test `bpf_ksym_exists({name})` before the call")
    } else {
        format!(
            "test `bpf_ksym_exists({name})` before this call: it is declared `__weak`, and no test keeps the program from the call here"
        )
    };
    let mut found = at_load(
        Code::MissingKfunc,
        headline,
        &[
            &weak,
            "or switch the program off if the kfunc is missing (`bpf_program__set_autoload`)",
        ],
    );
    if let Some(near) = detail.and_then(|detail| detail.strip_prefix("near: ")) {
        found
            .hints
            .push(format!("the nearest names in this kernel: {near}"));
    }
    Some(found)
}

/// A kfunc that the kernel has with another prototype.
pub(crate) fn mismatch(case: &Case<'_>) -> Option<Diagnosis> {
    // libbpf compares only where it found one; in the copy with weak externs it leaves the call
    // unresolved instead. The verifier then stops at the first call, which need not be of the first
    // kfunc that libbpf names: the line that is shown is that of the call.
    let unresolved = |name: &&String| {
        let line = format!("kfunc '{name}' is referenced but wasn't resolved");
        case.verifier_line(&line).is_some()
    };
    let kfuncs = &case.program.kfuncs;
    let differs = |name: &&String| prototype(case, name).is_some();
    let name = (kfuncs.iter().find(unresolved)).or_else(|| kfuncs.iter().find(differs))?;
    let of = prototype(case, name)
        .filter(|owner| *owner != KERNEL)
        .map(|module| format!(" (of module `{module}`)"))
        .unwrap_or_default();
    let headline = format!(
        "the kernel has kfunc `{name}`{of} with another prototype than {} declares",
        case.name()
    );
    let detail = case
        .features(FeatureKind::Kfunc, name)
        .find_map(|f| f.detail.as_deref());
    let (declared, without_body) = match detail {
        Some(detail) => match detail.split_once(Feature::WITHOUT_BODY) {
            Some((declared, structs)) => (Some(declared), Some(structs)),
            None => (Some(detail), None),
        },
        None => (None, None),
    };
    let mut found = at_load(Code::KfuncMismatch, headline, &[]);
    found
        .hints
        .extend(declared.map(|declared| format!("declare it as this kernel does: `{declared}`")));
    if let Some(structs) = without_body {
        found.hints.push(format!(
            "give {} a body, which may be empty (`{{}}`): the object only names it, and libbpf takes a struct \
             without a body for another kind of type",
            structs
                .split(", ")
                .map(|of| format!("`{of}`"))
                .collect::<Vec<_>>()
                .join(" and ")
        ));
    }
    if declared.is_none() {
        found.hints.push(
            "declare it as this kernel's BTF has it \
             (`bpftool btf dump file /sys/kernel/btf/vmlinux format c`)"
                .into(),
        );
    }
    Some(found)
}

/// The owner of the kfunc where libbpf found it with another prototype: a module, or the kernel.
fn prototype<'a>(case: &Case<'a>, kfunc: &str) -> Option<&'a str> {
    case.heard(|said| match *said {
        Said::KfuncMismatch { name, module } if name == kfunc => Some(module.unwrap_or(KERNEL)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::OPTIONS;

    const PACKAGES: &str = include_str!("../../tests/kfunc_options.tsv");

    /// The module that an option builds, where it is built as one.
    fn module(option: &str) -> String {
        match option {
            "NET_FOU" => "fou".into(),
            "TCP_CONG_BBR" => "tcp_bbr".into(),
            "TCP_CONG_DCTCP" => "tcp_dctcp".into(),
            name => name.to_lowercase(),
        }
    }

    #[test]
    fn each_option_has_its_kfuncs_in_the_packages_of_kernels() {
        let rows = PACKAGES.lines().filter(|line| !line.starts_with('#'));
        let mut seen = std::collections::BTreeSet::new();
        for row in rows {
            let [kernel, option, value, kfunc, owner] = row.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("{row}");
            };
            let known = OPTIONS.iter().find(|(start, _)| kfunc.starts_with(start));
            let (start, known) = known.unwrap_or_else(|| panic!("no option for {kfunc}"));
            assert_eq!(*known, option, "{kernel}: {kfunc}");
            let wanted = match value {
                "n" => "-".to_owned(),
                "y" => "vmlinux".to_owned(),
                _ => module(option),
            };
            assert_eq!(
                owner, wanted,
                "{kernel}: {kfunc} with CONFIG_{option}={value}"
            );
            seen.insert(*start);
        }
        for (start, option) in OPTIONS {
            assert!(
                seen.contains(start),
                "no package shows {start} of CONFIG_{option}"
            );
        }
    }
}
