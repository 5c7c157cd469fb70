//! What an object asks of a kernel, and the mainline release that brought each of it: its static
//! floor. Nothing is loaded, and no kernel is asked.
//!
//! A need says nothing of a given kernel. Vendors backport, and an object may ask for something behind
//! a check that a kernel without it never passes. So the floor is where to begin looking.

use std::collections::BTreeSet;

use object::read::elf::ElfFile64;
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionKind, SymbolKind,
};
use serde::Serialize;
use ukci_matrix::manifest::program_type_of;
use ukci_schema::contract::ProgramType;
use ukci_schema::history;

use super::facts;

/// One thing that an object asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// `helper`, `map-type`, `map-flag`, `program-type`, `program-flag`, `attach-type`, `kfunc`,
    /// `instruction`, `btf` or `data`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The mainline release that brought it, such as `5.8`.
    pub release: &'static str,
}

/// Everything that an object asks for and whose release is known, newest first. Programs in sections
/// that begin with `?` are not loaded unless the loader wants them, and weak kernel functions need not
/// be there: neither counts. None if it is not ELF.
pub fn needs(bytes: &[u8]) -> Option<Vec<Need>> {
    let elf = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let mut needs = BTreeSet::new();
    let mut add = |kind, name: &str, release: Option<&'static str>| {
        if let Some(release) = release {
            let name = name.to_owned();
            needs.insert(Need {
                kind,
                name,
                release,
            });
        }
    };
    for section in elf.sections() {
        let name = section.name().unwrap_or_default();
        if section.kind() != SectionKind::Text || section.size() == 0 || name.starts_with('?') {
            continue;
        }
        let code = section.data().unwrap_or_default();
        for helper in called_helpers(code) {
            let name = history::helper_name(helper).unwrap_or_default();
            add("helper", name, history::helper(name));
        }
        for (what, release) in instructions(code) {
            add("instruction", what, Some(release));
        }
        for (kind, name) in relocated(&elf, &section) {
            match kind {
                Relocated::Kfunc => add("kfunc", &name, history::kfunc(&name)),
                Relocated::Data => add("data", "global variables", Some("5.2")),
            }
        }
        if name != ".text" {
            let kind = program_type_of(name).map(ProgramType::name);
            if let Some(kind) = kind {
                add("program-type", kind, history::program_type(kind));
            }
            if let Some(attach) = attach_type_of(name) {
                add("attach-type", attach, history::attach_type(attach));
            }
            for (_, flag, release) in FLAGS.iter().filter(|(begin, ..)| begins(name, begin)) {
                add("program-flag", flag, Some(release));
            }
        }
    }
    for shape in facts(bytes)?.maps.values() {
        if let Some(kind) = shape.map_type {
            add("map-type", kind.name(), history::map_type(kind.name()));
        }
        for flag in history::map_flags(shape.flags) {
            add("map-flag", flag.name, Some(flag.release));
        }
    }
    if has_core_relocations(&elf) {
        add("btf", "the kernel's BTF, for CO-RE", Some("5.2"));
    }
    let mut needs: Vec<Need> = needs.into_iter().collect();
    needs.sort_by_key(|need| std::cmp::Reverse(history::series(need.release)));
    Some(needs)
}

/// The numbers of the helpers that code calls: `BPF_CALL` with a zero source register.
fn called_helpers(code: &[u8]) -> BTreeSet<u32> {
    let called = code.chunks_exact(8).filter_map(|insn| match insn {
        [0x85, registers, _, _, a, b, c, d] if registers >> 4 == 0 => {
            Some(u32::from_le_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    });
    called.collect()
}

/// The instructions of newer sets in code. The second half of `lddw` is no instruction.
fn instructions(code: &[u8]) -> BTreeSet<(&'static str, &'static str)> {
    const LDDW: u8 = 0x18;
    let mut found = BTreeSet::new();
    let mut insns = code.chunks_exact(8);
    while let Some(insn) = insns.next() {
        let offset = i16::from_le_bytes([insn[2], insn[3]]);
        let immediate = u32::from_le_bytes([insn[4], insn[5], insn[6], insn[7]]);
        let what = match insn[0] {
            LDDW => {
                insns.next();
                continue;
            }
            0x06 => ("a far jump (`gotol`)", "6.6"),
            0xe5 => ("`may_goto`", "6.9"),
            0xd7 => ("an unconditional byte swap", "6.6"),
            0xbf | 0xbc if matches!(offset, 8 | 16 | 32) => ("a move that extends the sign", "6.6"),
            0x34 | 0x37 | 0x3c | 0x3f | 0x94 | 0x97 | 0x9c | 0x9f if offset == 1 => {
                ("a signed division or remainder", "6.6")
            }
            0x81 | 0x89 | 0x91 => ("a load that extends the sign", "6.6"),
            0xc3 | 0xdb if matches!(immediate, 0x100 | 0x110) => {
                ("a load that acquires or a store that releases", "6.15")
            }
            // Adding without fetching is as old as BPF.
            0xc3 | 0xdb if immediate != 0 => ("an atomic operation other than adding", "5.12"),
            _ => continue,
        };
        found.insert(what);
    }
    found
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Relocated {
    /// A function of the kernel, which must be there.
    Kfunc,
    /// A variable of the object.
    Data,
}

/// What the relocations of a section name.
fn relocated<'d>(
    elf: &ElfFile64<'d, Endianness>,
    section: &impl ObjectSection<'d>,
) -> BTreeSet<(Relocated, String)> {
    let code = section.data().unwrap_or_default();
    let mut found = BTreeSet::new();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        let Ok(symbol) = elf.symbol_by_index(index) else {
            continue;
        };
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let is_call = code.get(at) == Some(&0x85);
        if symbol.is_undefined() {
            let name = symbol.name().unwrap_or_default();
            if is_call && !symbol.is_weak() && !name.is_empty() {
                found.insert((Relocated::Kfunc, name.to_owned()));
            }
            continue;
        }
        let target = symbol.section_index();
        let target = target.and_then(|index| elf.section_by_index(index).ok());
        let Some(name) = target.as_ref().and_then(|target| target.name().ok()) else {
            continue;
        };
        let is_data = [".data", ".rodata", ".bss"]
            .iter()
            .any(|data| name.starts_with(data));
        if is_data && symbol.kind() != SymbolKind::Text {
            found.insert((Relocated::Data, String::new()));
        }
    }
    found
}

/// Beginnings of sections whose programs attach in a way that has a release of its own.
const ATTACHED: &[(&str, &str)] = &[
    ("kprobe.multi", "trace_kprobe_multi"),
    ("kretprobe.multi", "trace_kprobe_multi"),
    ("kprobe.session", "trace_kprobe_session"),
    ("uprobe.multi", "trace_uprobe_multi"),
    ("uretprobe.multi", "trace_uprobe_multi"),
    ("uprobe.session", "trace_uprobe_session"),
    ("tcx/ingress", "tcx_ingress"),
    ("tcx/egress", "tcx_egress"),
    ("netkit/primary", "netkit_primary"),
    ("netkit/peer", "netkit_peer"),
    ("iter", "trace_iter"),
    ("fentry", "trace_fentry"),
    ("fexit", "trace_fexit"),
    ("fmod_ret", "modify_return"),
    ("tp_btf", "trace_raw_tp"),
    ("lsm_cgroup", "lsm_cgroup"),
    ("lsm", "lsm_mac"),
    ("sk_lookup", "sk_lookup"),
    ("netfilter", "netfilter"),
    ("fsession", "trace_fsession"),
    ("sk_reuseport/migrate", "sk_reuseport_select_or_migrate"),
    ("sk_skb/stream_parser", "sk_skb_stream_parser"),
    ("sk_skb/stream_verdict", "sk_skb_stream_verdict"),
    ("sk_skb/verdict", "sk_skb_verdict"),
    ("sk_msg", "sk_msg_verdict"),
    ("xdp/devmap", "xdp_devmap"),
    ("xdp.frags/devmap", "xdp_devmap"),
    ("xdp/cpumap", "xdp_cpumap"),
    ("xdp.frags/cpumap", "xdp_cpumap"),
    ("lirc_mode2", "lirc_mode2"),
    ("flow_dissector", "flow_dissector"),
    ("sockops", "cgroup_sock_ops"),
    ("cgroup_skb/ingress", "cgroup_inet_ingress"),
    ("cgroup_skb/egress", "cgroup_inet_egress"),
    ("cgroup/dev", "cgroup_device"),
    ("cgroup/sysctl", "cgroup_sysctl"),
    ("cgroup/getsockopt", "cgroup_getsockopt"),
    ("cgroup/setsockopt", "cgroup_setsockopt"),
    ("cgroup/sock", "cgroup_inet_sock_create"),
    ("cgroup/sock_create", "cgroup_inet_sock_create"),
    ("cgroup/sock_release", "cgroup_inet_sock_release"),
    ("cgroup/post_bind4", "cgroup_inet4_post_bind"),
    ("cgroup/post_bind6", "cgroup_inet6_post_bind"),
    ("cgroup/bind4", "cgroup_inet4_bind"),
    ("cgroup/bind6", "cgroup_inet6_bind"),
    ("cgroup/connect4", "cgroup_inet4_connect"),
    ("cgroup/connect6", "cgroup_inet6_connect"),
    ("cgroup/connect_unix", "cgroup_unix_connect"),
    ("cgroup/sendmsg4", "cgroup_udp4_sendmsg"),
    ("cgroup/sendmsg6", "cgroup_udp6_sendmsg"),
    ("cgroup/sendmsg_unix", "cgroup_unix_sendmsg"),
    ("cgroup/recvmsg4", "cgroup_udp4_recvmsg"),
    ("cgroup/recvmsg6", "cgroup_udp6_recvmsg"),
    ("cgroup/recvmsg_unix", "cgroup_unix_recvmsg"),
    ("cgroup/getpeername4", "cgroup_inet4_getpeername"),
    ("cgroup/getpeername6", "cgroup_inet6_getpeername"),
    ("cgroup/getpeername_unix", "cgroup_unix_getpeername"),
    ("cgroup/getsockname4", "cgroup_inet4_getsockname"),
    ("cgroup/getsockname6", "cgroup_inet6_getsockname"),
    ("cgroup/getsockname_unix", "cgroup_unix_getsockname"),
];

/// Beginnings of sections that ask for a flag of the program, the flag, and its release:
/// `BPF_F_SLEEPABLE` (1e6c62a88215; for uprobes 8c7dcb84e3b7) and `BPF_F_XDP_HAS_FRAGS`
/// (c2f2cdbeffda).
const FLAGS: &[(&str, &str, &str)] = &[
    ("fentry.s", "sleepable", "5.10"),
    ("fexit.s", "sleepable", "5.10"),
    ("fmod_ret.s", "sleepable", "5.10"),
    ("lsm.s", "sleepable", "5.10"),
    ("uprobe.s", "sleepable uprobe", "6.0"),
    ("uretprobe.s", "sleepable uprobe", "6.0"),
    ("usdt.s", "sleepable uprobe", "6.0"),
    ("xdp.frags", "xdp.frags", "5.18"),
];

/// Of several beginnings, the longest: `sk_skb/verdict` is more than `sk_skb`.
fn attach_type_of(section: &str) -> Option<&'static str> {
    let found = ATTACHED.iter().filter(|(begin, _)| begins(section, begin));
    let longest = found.max_by_key(|(begin, _)| begin.len());
    longest.map(|(_, attach)| *attach)
}

/// Whether a section begins with these words, and not merely with their letters.
fn begins(section: &str, words: &str) -> bool {
    let rest = section.strip_prefix(words);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

/// Whether `.BTF.ext` has relocations for the kernel's types: `core_relo_len` of its header.
fn has_core_relocations(elf: &ElfFile64<'_, Endianness>) -> bool {
    let section = elf.section_by_name(".BTF.ext");
    let data = section
        .and_then(|section| section.data().ok())
        .unwrap_or_default();
    let word = |at: usize| {
        let bytes = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    // A header of 24 bytes has no such field.
    word(4) >= 32 && word(28) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attach_type_of_the_table_has_a_release() {
        for (begin, attach) in ATTACHED {
            assert!(history::attach_type(attach).is_some(), "{begin}: {attach}");
        }
        assert_eq!(
            attach_type_of("kprobe.multi/vfs_*"),
            Some("trace_kprobe_multi")
        );
        assert_eq!(attach_type_of("iter.s/task"), Some("trace_iter"));
        assert_eq!(attach_type_of("lsm_cgroup/socket_bind"), Some("lsm_cgroup"));
        assert_eq!(attach_type_of("kprobe/vfs_read"), None);
        assert_eq!(attach_type_of("iterate"), None);
        for (section, release) in [
            ("cgroup/connect_unix", "6.7"),
            ("cgroup/connect4", "4.17"),
            ("cgroup/getpeername4", "5.8"),
            ("sk_reuseport/migrate", "5.14"),
            ("sk_skb/verdict", "5.13"),
            ("xdp.frags/devmap", "5.8"),
        ] {
            let attach = attach_type_of(section);
            assert_eq!(
                attach.and_then(history::attach_type),
                Some(release),
                "{section}"
            );
        }
        // libbpf leaves the type away where the kernel does not know it.
        assert_eq!(attach_type_of("sk_reuseport"), None);
    }

    #[test]
    fn flags_of_programs_are_told_by_their_sections() {
        let flags = |section| {
            let found = FLAGS.iter().filter(|(begin, ..)| begins(section, begin));
            found.map(|(_, _, release)| *release).collect::<Vec<_>>()
        };
        assert_eq!(flags("xdp.frags"), ["5.18"]);
        assert_eq!(flags("xdp.frags/cpumap"), ["5.18"]);
        assert_eq!(flags("lsm.s/file_open"), ["5.10"]);
        assert_eq!(flags("uprobe.s"), ["6.0"]);
        assert!(flags("lsm/file_open").is_empty() && flags("xdp").is_empty());
    }

    #[test]
    fn instructions_of_newer_sets_are_known_and_constants_are_none() {
        let insn = |opcode: u8, registers: u8, offset: i16, immediate: u32| {
            let mut bytes = vec![opcode, registers];
            bytes.extend(offset.to_le_bytes());
            bytes.extend(immediate.to_le_bytes());
            bytes
        };
        let names = |code: &[Vec<u8>]| -> Vec<&str> {
            instructions(&code.concat())
                .into_iter()
                .map(|(_, release)| release)
                .collect()
        };
        assert_eq!(names(&[insn(0xdb, 0x21, 0, 0)]), [""; 0], "adding");
        assert_eq!(
            names(&[insn(0xdb, 0x21, 0, 1)]),
            ["5.12"],
            "adding and fetching"
        );
        assert_eq!(names(&[insn(0xdb, 0x21, 0, 0x100)]), ["6.15"]);
        assert_eq!(names(&[insn(0xbf, 0x21, 0, 0)]), [""; 0]);
        assert_eq!(names(&[insn(0xbf, 0x21, 32, 0)]), ["6.6"]);
        assert_eq!(names(&[insn(0x3f, 0x21, 1, 0)]), ["6.6"]);
        assert_eq!(names(&[insn(0xe5, 0, 3, 0)]), ["6.9"]);
        assert_eq!(names(&[insn(0x06, 0, 0, 9)]), ["6.6"]);
        // The second half of a constant looks like anything.
        assert_eq!(names(&[insn(0x18, 1, 0, 7), insn(0x06, 0, 0, 9)]), [""; 0]);
        let code = [
            insn(0x85, 0, 0, 181),
            insn(0x85, 0x10, 0, 130),
            insn(0x85, 0x20, 0, 9),
        ];
        assert_eq!(called_helpers(&code.concat()), BTreeSet::from([181]));
    }
}
