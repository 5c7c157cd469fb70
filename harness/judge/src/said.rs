//! Parses libbpf's log once. Rules match on [`Said`], never on the text.
//!
//! The messages are those of libbpf 1.7. A line that no rule needs is left out.

use ukci_schema::evidence::Log;

/// What one line of libbpf's log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// Maps in `.maps` need BTF, and the object has none.
    OwnBtfMissing,
    /// The kernel does not take the object's BTF, which it cannot do without. The line.
    OwnBtfRefused(&'a str),
    /// The kernel refused the object's BTF, and libbpf goes on without it: the errno.
    OwnBtfIgnored(&'a str),
    /// The name in the object's BTF for which the kernel refused it.
    OwnBtfName(&'a str),
    /// `SEC("maps")`, which libbpf reads no longer.
    LegacyMaps,
    /// A program uses a map of a section that libbpf does not read.
    MapElsewhere { map: &'a str, section: &'a str },
    /// A `static` function in a section of programs.
    StaticProgram { function: &'a str, section: &'a str },
    /// An extern that the object's BTF does not describe.
    ExternWithoutBtf(&'a str),
    /// There is no configuration of the kernel to read.
    NoConfiguration,
    /// The object is of the other byte order.
    ForeignEndian,
    /// Not even a program of two instructions was taken.
    NoProgramAtAll,
    /// The kernel has no BTF, or libbpf cannot read it. The line.
    KernelBtf(&'a str),
    /// An extern of `__kconfig` whose value libbpf cannot give.
    Kconfig { name: &'a str, why: Kconfig<'a> },
    /// A strong extern without BTF type, or of the configuration, that the kernel does not have.
    Unresolved(&'a str),
    /// The kernel has no kfunc of this name.
    KfuncMissing(&'a str),
    /// The kernel has it with another prototype; the module that has it.
    KfuncMismatch {
        name: &'a str,
        module: Option<&'a str>,
    },
    /// The kernel's BTF has no variable of this name.
    VariableMissing(&'a str),
    /// It has one of another type.
    VariableMismatch(&'a str),
    /// The kernel has no operations of this name.
    OperationsMissing(&'a str),
    /// It has them in another shape: the map, and libbpf's words.
    OperationsMismatch { map: &'a str, words: &'a str },
    /// A map was not created; the errno by name, without its sign.
    MapFailed { map: &'a str, errno: &'a str },
    /// A map was refused with its BTF, and is tried again without: the errno of the first try.
    MapRetried { map: &'a str, errno: &'a str },
    /// The inner map that a map is declared with was not created.
    InnerMapFailed(&'a str),
    /// The kernel did not take a map into a slot of a map.
    MapSlot {
        map: &'a str,
        slot: &'a str,
        put: &'a str,
        errno: &'a str,
    },
    /// The kernel did not take a program into a slot of a map.
    ProgramSlot {
        map: &'a str,
        program: &'a str,
        errno: &'a str,
    },
    /// A program was not loaded; the errno by name.
    ProgramFailed { program: &'a str, errno: &'a str },
    /// A program is given to a second member of operations.
    OperationReused {
        map: &'a str,
        member: &'a str,
        program: &'a str,
    },
    /// The section names no program type.
    NoProgramType,
    /// A program that replaces a function, of which nobody said the program.
    NoTargetProgram,
    /// A program that is attached through BTF, of which nobody said where.
    NoTarget,
    /// A `struct_ops` program that no map refers to.
    Unreferenced,
    /// The kernel's BTF has no function that a program is to be attached to.
    TargetWithoutBtf,
    /// A section that libbpf cannot attach by: the line.
    SectionDeclined(&'a str),
    /// A file has no symbol of this name.
    NoSymbol { symbol: &'a str, file: &'a str },
    /// The object lacks the maps of `<bpf/usdt.bpf.h>`, without which libbpf attaches no USDT program.
    NoUsdtMaps,
    /// A file has no USDT probes at all.
    NoUsdtProbes(&'a str),
}

/// Why libbpf cannot give an extern of `__kconfig` its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kconfig<'a> {
    /// It cannot read the kernel's version out of its release.
    Version,
    /// It does not know an extern of this name.
    Unknown,
    /// The kernel's value does not fit the declaration. The line.
    Unfit(&'a str),
}

/// Everything that a log says, in its order.
pub(crate) fn read(log: &Log) -> Vec<Said<'_>> {
    log.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Said<'_>> {
    let line = line.strip_prefix("libbpf: ").unwrap_or(line).trim();
    of_the_file(line)
        .or_else(|| of_an_extern(line))
        .or_else(|| of_a_map(line))
        .or_else(|| of_a_program(line))
}

/// What libbpf says about the file and of the kernel before anything is created.
fn of_the_file(line: &str) -> Option<Said<'_>> {
    let kernel_btf = [
        "Error loading vmlinux BTF",
        "vmlinux BTF is not found",
        "kernel BTF is missing",
        "valid kernel BTF",
    ];
    let has = |words: &str| line.contains(words);
    Some(if has("BTF is required, but is missing") {
        Said::OwnBtfMissing
    } else if has("BTF is mandatory, can't proceed") {
        Said::OwnBtfRefused(line)
    } else if let Some((before, _)) = line.split_once(". BTF is optional, ignoring") {
        let (_, errno) = before.split_once("Error loading .BTF into kernel: -")?;
        Said::OwnBtfIgnored(errno)
    } else if let Some(of) = line.strip_suffix(" Invalid name") {
        // [4] FUNC größe type_id=2 Invalid name
        let place = usize::from(of.starts_with('[')) * 2;
        Said::OwnBtfName(of.split(' ').nth(place)?)
    } else if has("legacy map definitions") {
        Said::LegacyMaps
    } else if let Some((_, rest)) = line.split_once("bad map relo against ") {
        let (map, rest) = quoted(rest)?;
        let (section, _) = quoted(rest)?;
        Said::MapElsewhere { map, section }
    } else if has("is static and not supported") {
        // sec 'static': program 'static_fn' is static and not supported
        let (section, rest) = quoted(line)?;
        let (function, _) = quoted(rest)?;
        Said::StaticProgram { function, section }
    } else if has("failed to open system Kconfig") {
        Said::NoConfiguration
    } else if has("loading non-native endianness") {
        Said::ForeignEndian
    } else if has("Couldn't load trivial BPF program") {
        Said::NoProgramAtAll
    } else if kernel_btf.iter().any(|words| has(words)) {
        Said::KernelBtf(line)
    } else {
        return None;
    })
}

fn of_an_extern(line: &str) -> Option<Said<'_>> {
    if let Some((_, rest)) = line.split_once("failed to find BTF for extern ") {
        return Some(Said::ExternWithoutBtf(quoted(rest)?.0));
    }
    let (_, rest) = line.split_once("extern ")?;
    if let Some(rest) = rest.strip_prefix("(kcfg) ") {
        let (name, rest) = quoted(rest)?;
        // A warning: libbpf goes on.
        if rest.contains("long string") && rest.contains("truncated to") {
            return None;
        }
        let why = if rest.contains("failed to get kernel version") {
            Kconfig::Version
        } else if rest.contains("unrecognized virtual extern") {
            Kconfig::Unknown
        } else {
            Kconfig::Unfit(line)
        };
        return Some(Said::Kconfig { name, why });
    }
    if let Some(rest) = rest.strip_prefix("(func ksym) ") {
        // 'x': not found in kernel or module BTFs
        // 'x': func_proto [5] incompatible with vmlinux [7]
        let (name, rest) = quoted(rest)?;
        if rest.contains("not found") {
            return Some(Said::KfuncMissing(name));
        }
        let (_, owner) = rest.split_once("incompatible with ").unwrap_or_default();
        let owner = owner.split(' ').next();
        let module = owner.filter(|owner| !owner.is_empty() && *owner != "vmlinux");
        return Some(Said::KfuncMismatch { name, module });
    }
    if let Some(rest) = rest.strip_prefix("(var ksym) ") {
        let (name, rest) = quoted(rest)?;
        return Some(if rest.contains("incompatible types") {
            Said::VariableMismatch(name)
        } else {
            Said::VariableMissing(name)
        });
    }
    let (name, rest) = quoted(rest)?;
    (rest.starts_with(" (strong): not resolved")).then_some(Said::Unresolved(name))
}

fn of_a_map(line: &str) -> Option<Said<'_>> {
    if let Some((_, rest)) = line.split_once("struct_ops init_kern") {
        if let Some(rest) = rest.strip_prefix(": struct ")
            && rest.contains("is not found in kernel BTF")
        {
            let name = rest.split(' ').next().unwrap_or_default();
            let name = name.strip_prefix("bpf_struct_ops_").unwrap_or(name);
            return Some(Said::OperationsMissing(name));
        }
        // c1 func ptr undo_cwnd: invalid reuse of prog a in sec struct_ops/a with type 27: …
        if let Some((place, rest)) = rest.split_once(": invalid reuse of prog ") {
            let (map, member) = place.trim().split_once(" func ptr ")?;
            let program = rest.split(' ').next().unwrap_or_default();
            return Some(Said::OperationReused {
                map,
                member,
                program,
            });
        }
        let words = rest.trim_matches([' ', ':']);
        let (map, words) = words.split_once(": ").unwrap_or(("", words));
        return Some(Said::OperationsMismatch { map, words });
    }
    // Error in bpf_create_map_xattr(storage): -E2BIG. Retrying without BTF.
    if let Some(rest) = line.strip_prefix("Error in bpf_create_map_xattr(") {
        let (map, rest) = rest.split_once("): -")?;
        let (errno, _) = rest.split_once(". Retrying without BTF")?;
        return Some(Said::MapRetried { map, errno });
    }
    let (map, rest) = quoted(line.strip_prefix("map ")?)?;
    let errno = rest.rsplit_once('-').map_or("", |(_, errno)| errno);
    if rest.starts_with(": failed to create inner") {
        return Some(Said::InnerMapFailed(map));
    }
    if rest.starts_with(": failed to create: ") {
        return Some(Said::MapFailed { map, errno });
    }
    // map 'outer': failed to initialize slot [0] to map 'other' fd=5: -EINVAL
    let (_, rest) = rest.split_once("failed to initialize slot [")?;
    let (slot, rest) = rest.split_once(']')?;
    let (put, _) = quoted(rest)?;
    Some(if rest.starts_with(" to prog ") {
        let program = put;
        Said::ProgramSlot {
            map,
            program,
            errno,
        }
    } else {
        Said::MapSlot {
            map,
            slot,
            put,
            errno,
        }
    })
}

fn of_a_program(line: &str) -> Option<Said<'_>> {
    let declined = [
        "kprobe name is invalid",
        "kretprobes do not support offset",
        "missing ':function[+offset]' specification",
        "invalid format of section definition",
        "invalid section '",
    ];
    let has = |words: &str| line.contains(words);
    Some(if has("missing BPF prog type") {
        Said::NoProgramType
    } else if has("attach program FD is not set") {
        Said::NoTargetProgram
    } else if has("no BTF-based attach target is specified") {
        Said::NoTarget
    } else if has("program isn't referenced anywhere") {
        Said::Unreferenced
    } else if has("failed to find kernel BTF type ID of") || has("is not found in vmlinux BTF") {
        Said::TargetWithoutBtf
    } else if declined.iter().any(|words| has(words)) {
        Said::SectionDeclined(line)
    } else if let Some((_, rest)) = line.split_once("failed to find symbol ") {
        let (symbol, rest) = quoted(rest)?;
        let file = quoted(rest).map_or("the file", |(file, _)| file);
        Said::NoSymbol { symbol, file }
    } else if has("failed to find USDT support BPF maps") {
        Said::NoUsdtMaps
    } else if let Some((_, rest)) = line.split_once("no USDT notes section") {
        Said::NoUsdtProbes(quoted(rest)?.0)
    } else {
        let (program, rest) = quoted(line.strip_prefix("prog ")?)?;
        let errno = rest.strip_prefix(": BPF program load failed: -")?;
        Said::ProgramFailed { program, errno }
    })
}

/// What stands between the first two single quotes, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.split_once('\'')?.1.split_once('\'')
}

#[cfg(test)]
mod tests {
    use super::{Kconfig, Said, read};
    use ukci_schema::evidence::Log;

    #[test]
    fn each_line_is_read_for_what_it_says() {
        for (text, said) in [
            (
                "libbpf: extern (func ksym) 'bpf_x': not found in kernel or module BTFs",
                Said::KfuncMissing("bpf_x"),
            ),
            (
                "libbpf: extern (func ksym) 'bpf_x': func_proto [5] incompatible with nf_x [7]",
                Said::KfuncMismatch {
                    name: "bpf_x",
                    module: Some("nf_x"),
                },
            ),
            (
                "libbpf: extern (var ksym) 'runqueues': not found in kernel BTF",
                Said::VariableMissing("runqueues"),
            ),
            (
                "libbpf: extern (kcfg) 'LINUX_KERNEL_VERSION': failed to get kernel version",
                Said::Kconfig {
                    name: "LINUX_KERNEL_VERSION",
                    why: Kconfig::Version,
                },
            ),
            (
                "libbpf: extern 'CONFIG_X' (strong): not resolved",
                Said::Unresolved("CONFIG_X"),
            ),
            (
                "libbpf: map 'outer': failed to initialize slot [0] to map 'other' fd=5: -EINVAL",
                Said::MapSlot {
                    map: "outer",
                    slot: "0",
                    put: "other",
                    errno: "EINVAL",
                },
            ),
            (
                "libbpf: map 'jumps': failed to initialize slot [1] to prog 'other' fd=9: -EINVAL",
                Said::ProgramSlot {
                    map: "jumps",
                    program: "other",
                    errno: "EINVAL",
                },
            ),
            (
                "libbpf: Error loading .BTF into kernel: -E2BIG. BTF is optional, ignoring.",
                Said::OwnBtfIgnored("E2BIG"),
            ),
            (
                "[4] FUNC größe type_id=2 Invalid name",
                Said::OwnBtfName("größe"),
            ),
            (
                "libbpf: Error in bpf_create_map_xattr(m): -E2BIG. Retrying without BTF.",
                Said::MapRetried {
                    map: "m",
                    errno: "E2BIG",
                },
            ),
            (
                "libbpf: map 'm': failed to create: -E2BIG",
                Said::MapFailed {
                    map: "m",
                    errno: "E2BIG",
                },
            ),
            (
                "libbpf: prog 'p': BPF program load failed: -EINVAL",
                Said::ProgramFailed {
                    program: "p",
                    errno: "EINVAL",
                },
            ),
            (
                "libbpf: sec 'xdp': program 'f' is static and not supported",
                Said::StaticProgram {
                    function: "f",
                    section: "xdp",
                },
            ),
            (
                "libbpf: usdt: failed to find USDT support BPF maps, did you forget to include \
                 bpf/usdt.bpf.h?",
                Said::NoUsdtMaps,
            ),
            (
                "libbpf: usdt: no USDT notes section (.note.stapsdt) found in '/bin/x'",
                Said::NoUsdtProbes("/bin/x"),
            ),
            (
                "libbpf: struct_ops init_kern: struct bpf_struct_ops_sched_ext_ops is not found in \
                 kernel BTF",
                Said::OperationsMissing("sched_ext_ops"),
            ),
        ] {
            assert_eq!(read(&Log::bounded(text)), [said], "{text}");
        }
    }

    #[test]
    fn lines_that_no_rule_asks_about_say_nothing() {
        for text in [
            "libbpf: failed to load object 'x'",
            "libbpf: loading object from buffer",
            "libbpf: map 'm': created successfully, fd=4",
            "libbpf: extern (kcfg)",
            "libbpf: map 'm",
            "",
        ] {
            assert_eq!(read(&Log::bounded(text)), [], "{text}");
        }
    }
}
