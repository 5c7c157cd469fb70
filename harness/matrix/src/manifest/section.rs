//! Derives the program type from the name of a section, as libbpf does.

use super::ProgramType;
use ukci_schema::section::{ADDRESSES, CGROUP, SECTIONS};

/// The type of the programs of a section; `None` if libbpf cannot tell.
pub fn program_type_of(section: &str) -> Option<ProgramType> {
    let section = section.trim_start_matches('?');
    let (hook, rest) = section.split_once('/').unwrap_or((section, ""));
    let word = match (hook, rest) {
        ("cgroup", rest) => {
            let address = ADDRESSES.iter().any(|call| {
                let version = rest.strip_prefix(call);
                version.is_some_and(|version| ["4", "6", "_unix"].contains(&version))
            });
            let found = CGROUP.iter().find(|(word, _)| *word == rest);
            if address {
                "cgroup_sock_addr"
            } else {
                found?.1
            }
        }
        ("raw_tp.w" | "raw_tracepoint.w", _) => "raw_tracepoint_writable",
        (hook, _) => {
            let bare = hook.split('.').next().unwrap_or(hook);
            SECTIONS.iter().find(|(word, _)| *word == bare)?.1
        }
    };
    ProgramType::named(word)
}
