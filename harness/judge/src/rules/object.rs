//! The object as a whole: it cannot be opened, or not prepared, without any one program's fault.

use crate::case::{Whole, is_off};
use crate::errno::{self, ENOMEM, EPERM};
use crate::finding::{Found, diagnosis};
use crate::said::{Kconfig, Said};
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Evidence, Log};
use ukci_schema::verdict::{Fault, Stage};

/// `LIBBPF_ERRNO__ENDIAN`.
const ENDIAN: i32 = 4003;

fn of(code: Code, stage: Stage, headline: impl Into<String>, hint: &str) -> Diagnosis {
    diagnosis(code, stage, headline.into(), vec![hint.into()])
}

fn with_excerpt(rule: &'static str, found: Diagnosis, log: &Log) -> Found {
    Found {
        rule,
        diagnosis: Diagnosis {
            excerpt: text::libbpf_excerpt(log),
            ..found
        },
    }
}

/// libbpf did not open it.
pub(crate) fn unopened(whole: &Whole<'_>) -> Found {
    let evidence = whole.evidence;
    let last = evidence.log.lines().next_back().unwrap_or_default();
    let said = text::clipped(last.strip_prefix("libbpf: ").unwrap_or(last).trim());
    let stage = Stage::Open;
    let found = if let Some(found) = big_endian(evidence) {
        found
    } else if let Some(why) = &evidence.object.malformed {
        let headline = format!("the file is not a BPF object: {}", in_a_sentence(why));
        of(
            Code::InvalidObject,
            stage,
            headline,
            "compile with `clang -g -O2 -target bpf -c`",
        )
    } else if whole.has_said(&Said::OwnBtfMissing) {
        let headline = "the object has no BTF, which its maps in `.maps` need";
        of(
            Code::MissingBtf,
            stage,
            headline,
            "compile with `-g`, and do not strip `.BTF`",
        )
    } else if whole.has_said(&Said::LegacyMaps) {
        let headline = "the object defines maps in `SEC(\"maps\")`, which libbpf refuses since 1.0";
        let hint = "define them in `SEC(\".maps\")` with BTF (`__uint`, `__type`)";
        of(Code::InvalidObject, stage, headline, hint)
    } else if let Some((map, section)) = map_elsewhere(whole) {
        let headline = format!(
            "the object defines the map `{map}` in section `{section}`, where libbpf looks for none"
        );
        let hint = "the object is for a loader of its own; for libbpf, define maps in \
                    `SEC(\".maps\")` with BTF (`__uint`, `__type`)";
        of(Code::LoaderContract, stage, headline, hint)
    } else if let Some((function, section)) = static_program(whole) {
        let headline = format!(
            "`{function}` in section `{section}` is `static`, and libbpf loads no static programs"
        );
        let hint = "drop `static`, or leave the function out of any section so that it is a \
                    subprogram";
        of(Code::InvalidObject, stage, headline, hint)
    } else if let Some(name) = unknown_extern(whole) {
        let headline = format!("the object has an extern `{name}` that its BTF does not describe");
        let hint = "link the object that defines it (`bpftool gen object`), or declare it `__ksym` \
                    or `__kconfig`";
        of(Code::InvalidObject, stage, headline, hint)
    } else if evidence.open.errno == Some(ENOMEM) {
        let headline = "the guest has too little memory to open the object";
        of(
            Code::GuestResources,
            stage,
            headline,
            "give the guest more memory (`memory` in the matrix)",
        )
    } else {
        let errno = errno::name(evidence.open.errno);
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        let headline = format!("libbpf cannot read the object ({errno}){said}");
        let hint = "compile it anew, with the clang that its project uses";
        of(Code::InvalidObject, stage, headline, hint)
    };
    with_excerpt("unopened", found, &evidence.log)
}

/// A map that a program uses and that lies in a section of another loader's, and the section:
/// libbpf reads maps from `.maps` alone since 1.0 (`lirc_mode2/maps` is that of ir-keytable,
/// `maps/NAME` of gobpf).
fn map_elsewhere<'a>(whole: &Whole<'a>) -> Option<(&'a str, &'a str)> {
    whole.heard(|said| match *said {
        Said::MapElsewhere { map, section } if section != ".maps" && section.contains("maps") => {
            Some((map, section))
        }
        _ => None,
    })
}

fn static_program<'a>(whole: &Whole<'a>) -> Option<(&'a str, &'a str)> {
    whole.heard(|said| match *said {
        Said::StaticProgram { function, section } => Some((function, section)),
        _ => None,
    })
}

fn unknown_extern<'a>(whole: &Whole<'a>) -> Option<&'a str> {
    whole.heard(|said| match *said {
        Said::ExternWithoutBtf(name) => Some(name),
        _ => None,
    })
}

/// A big-endian object that libbpf does not even open.
fn big_endian(evidence: &Evidence) -> Option<Diagnosis> {
    let why = evidence.object.malformed.as_deref()?;
    (why == "it is big-endian").then(|| other_byte_order(Stage::Open))
}

fn other_byte_order(stage: Stage) -> Diagnosis {
    let headline = "the object is of the other byte order (endianness) than this machine";
    let hint = "compile with `-target bpfel` for it";
    of(Code::InvalidObject, stage, headline, hint)
}

/// libbpf gave up while it prepared the load, before any map or program.
pub(crate) fn unprepared(whole: &Whole<'_>) -> Option<Found> {
    let evidence = whole.evidence;
    let (rule, found) = endian(whole)
        .map(|found| ("endian", found))
        .or_else(|| trivial_program(whole).map(|found| ("trivial-program", found)))
        .or_else(|| vmlinux_btf(whole).map(|found| ("kernel-btf", found)))
        .or_else(|| kconfig(evidence, &whole.said).map(|found| ("kconfig", found)))
        .or_else(|| kfunc(whole).map(|found| ("kfunc", found)))
        .or_else(|| ksym(&whole.said).map(|found| ("ksym", found)))
        .or_else(|| whole.heard(operations).map(|found| ("struct-ops", found)))
        .or_else(|| own_btf(whole).map(|found| ("own-btf", found)))?;
    Some(with_excerpt(rule, found, &evidence.log))
}

/// The object needs the kernel's configuration and the guest has none to read: no answer about
/// the kernel, whose users have a `/boot/config-…`.
pub(crate) fn no_kconfig(whole: &Whole<'_>) -> Option<Fault> {
    whole.has_said(&Said::NoConfiguration).then(|| Fault {
        stage: Stage::Load,
        code: None,
        headline: format!(
            "the guest has no configuration of its kernel (`/boot/config-{}`), which the object's \
             `CONFIG_…` externs are read from",
            whole.evidence.guest.release
        ),
        console: Vec::new(),
        hints: vec!["put the kernel's `.config` beside the image as `config-<release>`".into()],
    })
}

fn endian(whole: &Whole<'_>) -> Option<Diagnosis> {
    let foreign = whole.has_said(&Said::ForeignEndian);
    (foreign || whole.evidence.load.errno == Some(ENDIAN)).then(|| other_byte_order(Stage::Load))
}

fn trivial_program(whole: &Whole<'_>) -> Option<Diagnosis> {
    if !whole.has_said(&Said::NoProgramAtAll) {
        return None;
    }
    let evidence = whole.evidence;
    let errno = evidence.load.errno;
    let lockdown = evidence
        .guest
        .lockdown
        .as_deref()
        .filter(|mode| *mode != "none");
    Some(match (errno, lockdown) {
        (Some(EPERM), Some(mode)) => of(
            Code::PolicyDenied,
            Stage::Load,
            format!("the kernel permits no BPF program at all under lockdown (`{mode}`)"),
            "boot without `lockdown=`",
        ),
        (Some(EPERM), None) => of(
            Code::CapabilityFailure,
            Stage::Load,
            "the kernel permits the loader no BPF program at all (EPERM)",
            "give the loader CAP_BPF, and below 5.11 raise RLIMIT_MEMLOCK",
        ),
        (Some(ENOMEM), _) => of(
            Code::GuestResources,
            Stage::Load,
            "the guest has too little memory for any BPF program",
            "give the guest more memory (`memory` in the matrix)",
        ),
        _ => of(
            Code::MissingKernelConfig,
            Stage::Load,
            format!(
                "the kernel takes no BPF program at all ({})",
                errno::name(errno)
            ),
            "use a kernel with CONFIG_BPF_SYSCALL",
        ),
    })
}

fn vmlinux_btf(whole: &Whole<'_>) -> Option<Diagnosis> {
    let line = whole.heard(|said| match *said {
        Said::KernelBtf(line) => Some(line),
        _ => None,
    })?;
    if whole.evidence.guest.btf_bytes.is_none() {
        return Some(no_kernel_btf());
    }
    let headline = format!("libbpf cannot read the kernel's BTF: {line}");
    Some(of(
        Code::MissingBtf,
        Stage::Load,
        headline,
        "give it another BTF file (`btf_custom_path`)",
    ))
}

pub(crate) fn no_kernel_btf() -> Diagnosis {
    let headline = "the kernel has no BTF (`/sys/kernel/btf/vmlinux`), which the object needs";
    let mut found = of(
        Code::MissingBtf,
        Stage::Load,
        headline,
        "use a kernel with CONFIG_DEBUG_INFO_BTF (mainline 5.2)",
    );
    found.hints.insert(
        0,
        "give libbpf a BTF file of this kernel (`btf_custom_path`); BTFHub has many".into(),
    );
    found
}

/// An extern of `__kconfig` without a value, by what libbpf said.
pub(crate) fn kconfig(evidence: &Evidence, said: &[Said<'_>]) -> Option<Diagnosis> {
    let release = &evidence.guest.release;
    let valueless = said.iter().find_map(|said| match *said {
        Said::Kconfig { name, why } => Some((name, why)),
        _ => None,
    });
    if let Some((name, why)) = valueless {
        let (headline, hint) = match why {
            Kconfig::Version => (
                format!(
                    "libbpf cannot read the kernel's version out of `{release}`, so `{name}` has no value"
                ),
                "ask for the feature (`bpf_core_…_exists`), not for the version: release \
                 candidates have names that libbpf 1.7 does not read",
            ),
            Kconfig::Unknown => (
                format!("libbpf knows no extern `{name}`, which the object needs"),
                "declare it `__weak`, so that it reads as 0",
            ),
            Kconfig::Unfit(line) => (
                format!("the kernel's value of `{name}` does not fit its declaration: {line}"),
                "declare it with the type that the option has (`bool`, `int`, `char []`)",
            ),
        };
        return Some(of(Code::MissingKernelConfig, Stage::Load, headline, hint));
    }
    let name = unresolved(said).filter(|name| name.starts_with("CONFIG_"))?;
    let off = name
        .strip_prefix("CONFIG_")
        .is_some_and(|option| is_off(evidence, option));
    let state = if off {
        "is off in this kernel"
    } else {
        "is not in this kernel's configuration"
    };
    Some(of(
        Code::MissingKernelConfig,
        Stage::Load,
        format!("`{name}` {state}, and the object cannot do without its value"),
        "declare the extern `__weak`: it then reads as 0 where the option is off",
    ))
}

fn unresolved<'a>(said: &[Said<'a>]) -> Option<&'a str> {
    said.iter().find_map(|said| match *said {
        Said::Unresolved(name) => Some(name),
        _ => None,
    })
}

fn kfunc(whole: &Whole<'_>) -> Option<Diagnosis> {
    let (name, missing) = whole.heard(|said| match *said {
        Said::KfuncMissing(name) => Some((name, true)),
        Said::KfuncMismatch { name, .. } => Some((name, false)),
        _ => None,
    })?;
    let hint = "declare it `__weak` and test `bpf_ksym_exists()` before the call";
    if missing {
        let since = crate::finding::mainline(ukci_schema::history::kfunc(name));
        let headline =
            format!("the kernel has no kfunc `{name}`{since}, which the object declares");
        return Some(of(Code::MissingKfunc, Stage::Load, headline, hint));
    }
    let headline =
        format!("the kernel has kfunc `{name}` with another prototype than the object declares");
    Some(of(Code::KfuncMismatch, Stage::Load, headline, hint))
}

/// A kernel variable (`__ksym`) that is missing or of another type, by what libbpf said.
pub(crate) fn ksym(said: &[Said<'_>]) -> Option<Diagnosis> {
    let hint = "declare it `__weak` and test its address before its use";
    let variable = said.iter().find_map(|said| match *said {
        Said::VariableMismatch(name) => Some((name, true)),
        Said::VariableMissing(name) => Some((name, false)),
        _ => None,
    });
    if let Some((name, there)) = variable {
        if there {
            let headline = format!(
                "the kernel has variable `{name}` with another type than the object declares"
            );
            return Some(of(Code::KfuncMismatch, Stage::Load, headline, hint));
        }
        let headline = format!("the kernel has no variable `{name}`, which the object refers to");
        return Some(of(Code::MissingKfunc, Stage::Load, headline, hint));
    }
    let name = unresolved(said).filter(|name| !name.starts_with("CONFIG_"))?;
    let headline = format!("the kernel has no symbol `{name}`, which the object refers to");
    Some(of(Code::MissingKfunc, Stage::Load, headline, hint))
}

/// Operations that the kernel does not have, or has in another shape.
pub(crate) fn operations(said: &Said<'_>) -> Option<Diagnosis> {
    if let Said::OperationsMissing(name) = *said {
        let mut found = of(
            Code::AttachTargetMissing,
            Stage::Load,
            format!("the kernel has no operations `{name}` (`struct_ops`) to put programs into"),
            "make the map optional with `SEC(\"?.struct_ops.link\")` and switch it on where the \
             kernel has the struct",
        );
        let option = match name {
            "sched_ext_ops" => Some(("SCHED_CLASS_EXT", "6.12")),
            "hid_bpf_ops" => Some(("HID_BPF", "6.11")),
            _ => None,
        };
        if let Some((option, release)) = option {
            found.hints.push(format!(
                "it came with mainline {release} and needs CONFIG_{option}"
            ));
        }
        return Some(found);
    }
    let Said::OperationsMismatch { map, words } = *said else {
        return None;
    };
    Some(of(
        Code::CoreRelocationFailure,
        Stage::Load,
        format!("the operations of map `{map}` do not fit the kernel's: {words}"),
        "declare the struct as this kernel has it; a member that it lacks must be zero",
    ))
}

fn own_btf(whole: &Whole<'_>) -> Option<Diagnosis> {
    let line = whole.heard(|said| match *said {
        Said::OwnBtfRefused(line) => Some(line),
        _ => None,
    })?;
    Some(of(
        Code::MissingBtf,
        Stage::Load,
        format!("the kernel does not take the object's BTF, which it cannot do without: {line}"),
        "compile with an older `-mcpu` or clang, or without the BTF kinds that the kernel lacks",
    ))
}

/// The whole was refused; each map and program alone was not, or was not tried.
pub(crate) fn unexplained(whole: &Whole<'_>) -> Found {
    let evidence = whole.evidence;
    if let Some(found) = program_slot(whole) {
        return with_excerpt("program-slot", found, &evidence.log);
    }
    let errno = evidence.load.errno;
    let found = if errno == Some(ENOMEM) {
        let headline = "the guest has too little memory to load the object";
        of(
            Code::GuestResources,
            Stage::Load,
            headline,
            "give the guest more memory (`memory` in the matrix)",
        )
    } else {
        let last = text::first_failure(&evidence.log).unwrap_or_default();
        let said = if last.is_empty() {
            String::new()
        } else {
            format!(": {}", text::clipped(last))
        };
        let headline = format!(
            "the whole object was refused ({}), no map or program alone was{said}",
            errno::name(errno)
        );
        of(
            Code::Unclassified,
            Stage::Load,
            headline,
            "please report it, with the cell's evidence directory",
        )
    };
    with_excerpt("unexplained-object", found, &evidence.log)
}

/// A program that the kernel does not take into a slot of a program array: all programs of one array
/// are of one type, and agree in what they were loaded for.
fn program_slot(whole: &Whole<'_>) -> Option<Diagnosis> {
    let (map, program, errno) = whole.heard(|said| match *said {
        Said::ProgramSlot {
            map,
            program,
            errno,
        } => Some((map, program, errno)),
        _ => None,
    })?;
    let mut programs = whole.evidence.programs.iter();
    let kind =
        (programs.find(|seen| seen.name == program)).map_or("?", |seen| seen.program_type.as_str());
    let mut found = of(
        Code::MapRefused,
        Stage::Load,
        format!(
            "the kernel does not take program `{program}` ({kind}) into program array `{map}`, whose \
             programs are of another kind ({errno})"
        ),
        "all programs of one array, and those that call through it, have one type and one expected \
         attach type: use an array for each",
    );
    found.program = Some(program.to_owned());
    Some(found)
}

/// `Invalid ELF header` → `invalid ELF header`; `ELF…` stays.
fn in_a_sentence(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
