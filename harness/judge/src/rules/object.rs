//! Refusals of the object as a whole: libbpf opens it but does not load it, and no single program
//! is the cause.

use super::{capability, kernel_name, memory, program_array};
use crate::case::{Whole, is_off};
use crate::errno::{self, ENOMEM, ENOSYS, EPERM};
use crate::finding::{Found, brought, of};
use crate::said::{Kconfig, Said};
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Evidence, Feature, FeatureKind, Log, ProgramEvidence, ProgramLoad};
use ukci_schema::history;
use ukci_schema::verdict::{Fault, Stage};

/// `LIBBPF_ERRNO__ENDIAN`.
const ENDIAN: i32 = 4003;

pub(crate) fn with_excerpt(rule: &'static str, found: Diagnosis, log: &Log) -> Found {
    Found {
        rule,
        diagnosis: Diagnosis {
            excerpt: text::libbpf_excerpt(log),
            ..found
        },
    }
}

pub(crate) fn other_byte_order(stage: Stage) -> Diagnosis {
    let headline = "the byte order (endianness) of the object differs from this machine's";
    let hint = "compile with `-target bpfel` for this machine";
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
        .or_else(|| ksym(whole, &whole.said).map(|found| ("ksym", found)))
        .or_else(|| {
            whole
                .heard(|said| operations(whole.evidence, said))
                .map(|found| ("struct-ops", found))
        })
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
        (Some(EPERM), None) => match capability::missing(evidence) {
            Some(missing) => of(
                Code::CapabilityFailure,
                Stage::Load,
                format!(
                    "the kernel permits the loader no BPF program at all (EPERM): it lacks {missing}"
                ),
                "give the loader CAP_BPF with CAP_PERFMON, or CAP_SYS_ADMIN below 5.8",
            ),
            None => of(
                Code::PolicyDenied,
                Stage::Load,
                "the kernel permits the loader no BPF program at all (EPERM), though it has every \
                 capability",
                "look for a security module that forbids BPF, and below 5.11 raise RLIMIT_MEMLOCK",
            ),
        },
        (Some(ENOMEM), _) => memory::too_little(evidence, "load any BPF program", Stage::Load),
        _ if errno == Some(ENOSYS) || is_off(evidence, "BPF_SYSCALL") => of(
            Code::MissingKernelConfig,
            Stage::Load,
            format!(
                "the kernel accepts no BPF program at all ({})",
                errno::name(errno)
            ),
            "use a kernel with CONFIG_BPF_SYSCALL",
        ),
        _ => of(
            Code::Unclassified,
            Stage::Load,
            format!(
                "the kernel accepts no BPF program at all ({}), and ukci does not know why",
                errno::name(errno)
            ),
            "report this to the ukci project, with the cell's evidence directory",
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
            Kconfig::Version => return Some(no_version(release, name)),
            Kconfig::Unknown => (
                format!("libbpf knows no extern `{name}`, which the object needs"),
                "declare it `__weak`, so that it reads as 0".to_owned(),
            ),
            Kconfig::Unfit(line) => {
                // extern (kcfg) 'CONFIG_HZ': value '250' doesn't fit in 1 bytes
                let why = line.split_once("': ").map_or(line, |(_, why)| why);
                (
                    format!("the kernel's value of `{name}` does not fit its declaration: {why}"),
                    fitting(name, why),
                )
            }
        };
        return Some(of(Code::MissingKernelConfig, Stage::Load, headline, &hint));
    }
    let name = unresolved(said).filter(|name| name.starts_with("CONFIG_"))?;
    let off = name
        .strip_prefix("CONFIG_")
        .is_some_and(|option| is_off(evidence, option));
    let state = if off {
        "is off in this kernel"
    } else {
        "has no value in this kernel's configuration (it is off, or no option of this kernel)"
    };
    Some(of(
        Code::MissingKernelConfig,
        Stage::Load,
        format!("`{name}` {state}, and the object cannot do without its value"),
        "declare the extern `__weak`: it then reads as 0 if the option is off",
    ))
}

/// What to declare, by what libbpf says of a value that does not fit (`set_kcfg_value_*`).
fn fitting(name: &str, why: &str) -> String {
    let declared = |as_what: &str| format!("declare it as `extern {as_what} __kconfig`");
    let tristate = format!("enum libbpf_tristate {name}");
    if why.contains("fit in") {
        "declare it with a wider type (`int`, `unsigned long`)".into()
    } else if why.contains("implies char array") {
        declared(&format!("const char {name}[16]"))
    } else if why.contains("implies integer") {
        declared(&format!("int {name}"))
    } else if why.contains("implies tristate") {
        declared(&tristate) + ": the option is built as a module here"
    } else if why.contains("implies bool") {
        declared(&format!("bool {name}"))
            + ", or as a `libbpf_tristate` if other kernels have it as a module"
    } else {
        "declare it with the type that the option has (`bool`, `int`, `char []`)".into()
    }
}

/// libbpf 1.7 wants three numbers (`get_kernel_version`), which the release candidates of some
/// distributions do not have: Debian's is `7.3-amd64`. No kernel refuses anything.
fn no_version(release: &str, name: &str) -> Diagnosis {
    let mut found = of(
        Code::LoaderContract,
        Stage::Load,
        format!(
            "libbpf cannot read a version with three numbers from the kernel release `{release}`, so \
             `{name}` has no value"
        ),
        "test for the feature itself, with `bpf_core_field_exists()` or \
         `bpf_core_enum_value_exists()`: it works on release candidates too",
    );
    found.hints.push(
        "or let the loader set the version, in a `const volatile` variable (`.rodata`) in place of the \
         extern"
            .into(),
    );
    found.hints.push(
        "or expect this failure for release candidates in the matrix: libbpf reads the final \
         release, and no kernel refused anything here"
            .into(),
    );
    found
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
        if let Some(found) = super::kfunc::switched_off(whole, name, "the object") {
            return Some(found);
        }
        let since = brought(&whole.evidence.guest.release, history::kfunc(name));
        let headline =
            format!("the kernel has no kfunc `{name}`{since}, which the object declares");
        return Some(of(Code::MissingKfunc, Stage::Load, headline, hint));
    }
    let headline =
        format!("the kernel has kfunc `{name}` with another prototype than the object declares");
    Some(of(Code::KfuncMismatch, Stage::Load, headline, hint))
}

/// A kernel variable (`__ksym`) that is missing or of another type, by what libbpf said.
pub(crate) fn ksym(whole: &Whole<'_>, said: &[Said<'_>]) -> Option<Diagnosis> {
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
        let mut found = of(
            Code::MissingKfunc,
            Stage::Load,
            format!(
                "the kernel's BTF has no variable `{name}`, which the object declares with a type"
            ),
            hint,
        );
        let symbol = whole
            .features(FeatureKind::Variable, name)
            .any(|f| f.detail.as_deref() == Some(Feature::SYMBOL_WITHOUT_BTF));
        if symbol {
            found.hints.insert(
                0,
                format!(
                    "the kernel has the symbol: `extern const void {name} __ksym`, without a type, \
                     needs the symbol alone and gives its address"
                ),
            );
        }
        return Some(found);
    }
    let name = unresolved(said).filter(|name| !name.starts_with("CONFIG_"))?;
    let headline = format!("the kernel has no symbol `{name}`, which the object refers to");
    Some(of(Code::MissingKfunc, Stage::Load, headline, hint))
}

/// Operations that the kernel does not have, or has in another shape.
pub(crate) fn operations(evidence: &Evidence, said: &Said<'_>) -> Option<Diagnosis> {
    if let Said::OperationsMissing(name) = *said {
        return Some(no_operations(evidence, name));
    }
    if let Said::OperationReused {
        map,
        member,
        program,
    } = *said
    {
        return Some(of(
            Code::InvalidObject,
            Stage::Load,
            format!(
                "map `{map}` gives program `{program}` to a second member, `{member}`: libbpf loads a \
                 `struct_ops` program for one member"
            ),
            "write a program for each member, which may call the same function",
        ));
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

/// The options and releases of the operations that depend on one.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("sched_ext_ops", "SCHED_CLASS_EXT", "6.12"),
    ("hid_bpf_ops", "HID_BPF", "6.11"),
    ("Qdisc_ops", "NET_SCH_BPF", "6.16"),
];

fn no_operations(evidence: &Evidence, name: &str) -> Diagnosis {
    let optional = "make the map optional (`?` before the name of its section, such as `SEC(\"?.struct_ops\")`) \
                    and switch it on where the kernel lets programs implement these operations";
    let known = OPERATIONS.iter().find(|(known, ..)| *known == name);
    let release = known.map(|(_, _, release)| *release);
    let kernel = &evidence.guest.release;
    let older = release.is_some_and(|release| history::is_older(kernel, release));
    if let Some((_, option, _)) = known
        && !older
        && is_off(evidence, option)
    {
        let headline = format!(
            "the kernel is built without CONFIG_{option}, which operations `{name}` (`struct_ops`) \
             need"
        );
        return of(Code::MissingKernelConfig, Stage::Load, headline, optional);
    }
    let headline = format!(
        "the kernel has no operations `{name}` (`struct_ops`){} to put programs into",
        brought(kernel, release)
    );
    let mut found = of(Code::AttachTargetMissing, Stage::Load, headline, optional);
    if let Some((_, option, release)) = known.filter(|_| older) {
        found.hints.push(format!(
            "use a kernel from {release} on with CONFIG_{option}"
        ));
    }
    found
}

fn own_btf(whole: &Whole<'_>) -> Option<Diagnosis> {
    let line = whole.heard(|said| match *said {
        Said::OwnBtfRefused(line) => Some(line),
        _ => None,
    })?;
    let misnamed = kernel_name::of_type(whole);
    let hint = misnamed.as_deref().unwrap_or(
        "compile with an older `-mcpu` or clang, or without the BTF kinds that the kernel lacks",
    );
    Some(of(
        Code::MissingBtf,
        Stage::Load,
        format!("the kernel does not take the object's BTF, which it cannot do without: {line}"),
        hint,
    ))
}

/// The whole was refused; each map and program alone was not, or was not tried.
pub(crate) fn unexplained(whole: &Whole<'_>) -> Found {
    let evidence = whole.evidence;
    if let Some(found) = program_array::slot(whole) {
        return with_excerpt("program-slot", found, &evidence.log);
    }
    if let Some(found) = program_array::shared(whole) {
        return with_excerpt("program-array", found, &evidence.log);
    }
    let errno = evidence.load.errno;
    let found = if errno == Some(ENOMEM) {
        memory::too_little(evidence, "load the object", Stage::Load)
    } else {
        let last = text::first_failure(&evidence.log).unwrap_or_default();
        let said = if last.is_empty() {
            String::new()
        } else {
            format!(": {}", text::clipped(last))
        };
        let errno = errno::name(errno);
        let is_untried = |program: &ProgramEvidence| {
            let reason = program.load.reason.as_deref();
            reason.is_some_and(|reason| reason.starts_with(ProgramLoad::TIME_WAS_OVER))
        };
        let (headline, hint) = if evidence.programs.iter().any(is_untried) {
            (
                format!(
                    "the kernel refused the object as a whole ({errno}), and there was no time to try each \
                     program alone{said}"
                ),
                "give the cell more time (`--timeout`), so that ukci can find the program that was refused",
            )
        } else {
            (
                format!(
                    "the kernel refused the object as a whole ({errno}), but no map or program alone{said}"
                ),
                "report this to the ukci project, with the cell's evidence directory",
            )
        };
        of(Code::Unclassified, Stage::Load, headline, hint)
    };
    with_excerpt("unexplained-object", found, &evidence.log)
}
