//! Attach targets that are missing, and attach types that the kernel does not know.

use super::site;
use crate::case::Case;
use crate::errno::{self, EINVAL, ESRCH};
use crate::finding::{at_load, brought, of};
use crate::said::Said;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Feature, FeatureKind, Module};
use ukci_schema::history;
use ukci_schema::verdict::Stage;

/// A typed target that libbpf looked for when it loaded the program.
pub(crate) fn missing(case: &Case<'_>) -> Option<Diagnosis> {
    let program = case.program;
    let name = program.target.as_deref()?;
    if name.is_empty() {
        let headline = format!(
            "section `{}` of {} names no target, so its loader must set one",
            case.section(),
            case.name()
        );
        let hint = "call `bpf_program__set_attach_target` before the load, or name the target in the manifest";
        return Some(at_load(Code::LoaderContract, headline, &[hint]));
    }
    let unfound = case.said.contains(&Said::TargetWithoutBtf);
    let feature = case
        .features(FeatureKind::Target, name)
        .find(|f| f.present == Some(false));
    let refused = program.load.errno == Some(ESRCH) && case.is_silent();
    let missing = unfound || (feature.is_some() && refused);
    if !missing {
        return None;
    }
    let near = feature.and_then(|f| f.detail.as_deref());
    if let Some(found) = other_program(case, name) {
        return Some(found);
    }
    // A symbol of the very name: libbpf looks into BTF only.
    if near == Some(Feature::SYMBOL_WITHOUT_BTF) {
        return Some(without_btf(case, name));
    }
    Some(missing_target(case, name, near, Stage::Load))
}

/// The modules that have this target.
fn owners<'a>(case: &Case<'a>, target: &str) -> impl Iterator<Item = &'a Module> {
    let modules = case.evidence.guest.modules.iter();
    modules.filter(move |module| module.wanted_for.iter().any(|wanted| wanted == target))
}

/// The module that was loaded because it has the program's target.
pub(crate) fn owner<'a>(case: &Case<'a>) -> Option<&'a Module> {
    let target = case.program.target.as_deref()?;
    owners(case, target).find(|module| module.error.is_none())
}

/// The module that has the program's target and does not load in this guest, with the reason.
fn unloadable<'a>(case: &Case<'a>, name: &str) -> Option<(&'a Module, &'a str)> {
    owners(case, name).find_map(|module| Some((module, module.error.as_deref()?)))
}

/// A target that is another program of the object: its own loader attaches the one to the other, once
/// that is loaded (`bpf_program__set_attach_target`).
fn other_program(case: &Case<'_>, name: &str) -> Option<Diagnosis> {
    let others = case.evidence.programs.iter();
    let mut others = others.filter(|other| other.name != case.program.name);
    let is_of_a_module = owner(case).is_some();
    (!is_of_a_module && others.any(|other| other.name == name)).then(|| {
        let headline = format!(
            "`{name}`, which {} (`{}`) is for, is a program of this object and no function of the \
             kernel",
            case.name(),
            case.section()
        );
        at_load(
            Code::LoaderContract,
            headline,
            &[
                "its own loader attaches it to that program (`bpf_program__set_attach_target`): \
               say so in the manifest (`autoload = false`)",
            ],
        )
    })
}

/// Functions of modules have BTF since 5.11 (36e68442d1af); of vmlinux pahole leaves some out, such
/// as system calls without arguments.
fn without_btf(case: &Case<'_>, name: &str) -> Diagnosis {
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    let hook = case.section().split('/').next().unwrap_or_default();
    let is_tracepoint = Kind::of(hook) == Kind::Tracepoint;
    let what = if is_tracepoint {
        "tracepoint"
    } else {
        "function"
    };
    let has = match owner(case) {
        Some(module) => format!("module `{}` has the {what} `{name}`", module.name),
        None => format!("the kernel has the {what} `{name}`"),
    };
    let headline = format!(
        "{has} and no BTF of it, which {} (`{}`) needs",
        case.name(),
        case.section()
    );
    // A kprobe needs only the symbol, and a place for it.
    let untraceable = (case.features(FeatureKind::FtraceSite, name))
        .chain(case.features(FeatureKind::KprobeSite, name))
        .any(|site| site.present == Some(false));
    let hint = if is_tracepoint {
        "attach as `raw_tp` or `tp`, which need no BTF of the tracepoint"
    } else if untraceable {
        "attach to a function that calls it, or to a tracepoint: the function has no place for a probe either \
         (it is `notrace`, or on the blacklist of kprobes)"
    } else {
        "attach a kprobe there: it needs only the symbol"
    };
    let mut found = at_load(Code::MissingBtf, headline, &[hint]);
    if owner(case).is_some() && case.is_off("DEBUG_INFO_BTF_MODULES") {
        found
            .hints
            .push("modules have BTF from mainline 5.11, with CONFIG_DEBUG_INFO_BTF_MODULES".into());
    }
    found
}

/// The kernel's BTF has the function, and its symbols have none of the name: the compiler kept only
/// copies with other names, such as `finish_task_switch.isra.0`, and pahole describes those under the
/// name of the source.
pub(crate) fn without_address(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case.verifier_line("The address of function ")?;
    let (_, rest) = line.split_once("The address of function ")?;
    let (name, _) = rest.split_once(" cannot be found")?;
    let copies = case
        .features(FeatureKind::Target, name)
        .find_map(|f| f.detail.as_deref()?.strip_prefix(Feature::CLONES));
    let headline = format!(
        "the kernel's BTF has the function `{name}`, which {} (`{}`) is for, and its symbol table has \
         none of this name",
        case.name(),
        case.section()
    );
    let copies = match copies {
        Some(copies) => format!("it kept only copies, with other arguments: {copies}"),
        None => format!("search `/proc/kallsyms` for `{name}.`"),
    };
    let hint = format!(
        "the compiler changed the function: {copies}; attach a kprobe to a copy, or attach to a function \
         that calls it"
    );
    Some(at_load(Code::AttachTargetMissing, headline, &[&hint]))
}

/// Also of a refused attachment.
pub(crate) fn missing_target(
    case: &Case<'_>,
    name: &str,
    near: Option<&str>,
    stage: Stage,
) -> Diagnosis {
    let section = case.section();
    if let Some((module, error)) = unloadable(case, name) {
        let headline = format!(
            "`{name}`, which {} (`{section}`) is for, is in module `{}`, which does not load in this guest: {error}",
            case.name(),
            module.name
        );
        let hint =
            "test it on hardware that the module is for, and expect this failure in the matrix";
        return of(Code::AttachTargetMissing, stage, headline, hint);
    }
    let hook = section.split('/').next().unwrap_or_default();
    let of = Kind::of(hook);
    let is_pattern = name.contains(['*', '?']);
    let word = if is_pattern {
        "function that can be traced and matches "
    } else {
        of.word()
    };
    let known = ITERATORS.iter().filter(|_| of == Kind::Iterator);
    let known = known.filter(|(known, _)| *known == name);
    let release = known.map(|(_, release)| *release).next();
    let headline = format!(
        "the kernel has no {word}`{name}`{} to attach {} to (`{section}`)",
        brought(&case.evidence.guest.release, release),
        case.name(),
    );
    let mut hints = Vec::new();
    let is_function = matches!(of, Kind::Function | Kind::Call);
    if let Some(call) = system_call(name).filter(|_| is_function) {
        let wrapper = match case.evidence.guest.machine.as_str() {
            "x86_64" => "__x64_sys_",
            "aarch64" => "__arm64_sys_",
            "riscv64" => "__riscv_sys_",
            _ => "sys_",
        };
        if name.contains("compat") || name.contains("ia32") {
            let (option, words) = if name.contains("x32") {
                ("X86_X32_ABI", "x32")
            } else {
                ("IA32_EMULATION", "32-bit")
            };
            if case.is_off(option) {
                hints.push(format!("CONFIG_{option} is off in this kernel"));
            }
            hints.push(format!(
                "make the program optional: kernels may be built without {words} system calls"
            ));
        } else if !name.starts_with(wrapper) {
            hints.push(format!(
                "this architecture calls it `{wrapper}{call}`: `SEC(\"ksyscall/{call}\")` finds \
                 the name by itself"
            ));
        }
    }
    if let Some(bare) = (name.strip_prefix("security_"))
        .or_else(|| name.strip_prefix("bpf_lsm_"))
        .filter(|_| of == Kind::Hook)
    {
        hints.push(format!(
            "the section names the hook without a prefix: `SEC(\"{hook}/{bare}\")`"
        ));
    }
    if let Some(clones) = near.and_then(|near| near.strip_prefix(Feature::CLONES)) {
        hints.push(format!(
            "the compiler kept only copies of it, with other arguments: {clones}; attach a kprobe to \
             one, or to a function that calls it"
        ));
    }
    if let Some(near) = near.and_then(|near| near.strip_prefix("near: ")) {
        hints.push(format!("the nearest names in this kernel: {near}"));
    }
    if is_pattern {
        hints.push(
            "if a module has these functions, load it first: `modules = [\"…\"]` in the manifest, because ukci \
             searches no module for a pattern"
                .to_owned(),
        );
    }
    let kprobe = site::is_kprobe(section);
    if let Some((module, function)) = name.split_once(':').filter(|_| kprobe) {
        hints.push(format!(
            "write `SEC(\"{hook}/{function}\")`: libbpf takes no module in the sections of kprobes, and finds the \
             function once `{module}` is loaded"
        ));
    }
    let what = of.fate();
    hints.push(match of {
        Kind::Iterator | Kind::Call => format!(
            "{what}: switch the program off if the kernel has none (`bpf_program__set_autoload`), or make it \
             optional with `SEC(\"?…\")`"
        ),
        Kind::Function | Kind::Tracepoint | Kind::Hook => format!(
            "{what}: choose the target in the loader (`{}`), or make the program optional with \
             `SEC(\"?…\")`",
            chosen_by(hook)
        ),
    });
    crate::finding::diagnosis(Code::AttachTargetMissing, stage, headline, hints)
}

/// libbpf's call with which a loader chooses the target of a program: before the load where the target is
/// looked up in BTF, or else when it attaches.
fn chosen_by(hook: &str) -> &'static str {
    let starts = |start: &str| hook.starts_with(start);
    if starts("kprobe.multi") || starts("kretprobe.multi") || starts("kprobe.session") {
        "bpf_program__attach_kprobe_multi_opts"
    } else if starts("kprobe") || starts("kretprobe") {
        "bpf_program__attach_kprobe"
    } else if starts("raw_tp") || starts("raw_tracepoint") {
        "bpf_program__attach_raw_tracepoint"
    } else if hook == "tp" || hook == "tracepoint" {
        "bpf_program__attach_tracepoint"
    } else {
        "bpf_program__set_attach_target"
    }
}

/// Iterators and the mainline releases that brought them.
const ITERATORS: &[(&str, &str)] = &[
    ("bpf_link", "5.19"),
    ("cgroup", "6.1"),
    ("kmem_cache", "6.13"),
    ("ksym", "6.0"),
    ("task_vma", "5.12"),
    ("unix", "5.15"),
];

/// What a section's target is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Call,
    Tracepoint,
    Hook,
    Iterator,
}

impl Kind {
    /// By the section up to its first `/`.
    fn of(hook: &str) -> Self {
        let starts = |words: &[&str]| words.iter().any(|word| hook.starts_with(word));
        if starts(&["tp", "tracepoint", "raw_tp", "raw_tracepoint"]) {
            Self::Tracepoint
        } else if starts(&["lsm"]) {
            Self::Hook
        } else if starts(&["iter"]) {
            Self::Iterator
        } else if starts(&["ksyscall", "kretsyscall"]) {
            Self::Call
        } else {
            Self::Function
        }
    }

    /// Before its name; nothing where the section's word says enough.
    fn word(self) -> &'static str {
        match self {
            Self::Function | Self::Tracepoint => "",
            Self::Call => "system call ",
            Self::Hook => "LSM hook ",
            Self::Iterator => "iterator ",
        }
    }

    /// Why it can be missing.
    fn fate(self) -> &'static str {
        match self {
            Self::Function => "functions are inlined and renamed from release to release",
            Self::Call => "system calls differ between releases and architectures",
            Self::Tracepoint => "tracepoints differ between releases and configurations",
            Self::Hook => "hooks come and go with releases and options",
            Self::Iterator => "iterators come with releases and options",
        }
    }
}

/// `execve` of `__se_sys_execve`.
fn system_call(name: &str) -> Option<&str> {
    let (before, call) = name.split_once("sys_")?;
    let known = [
        "",
        "__se_",
        "__do_",
        "__x64_",
        "__arm64_",
        "__riscv_",
        "__ia32_",
        "__ia32_compat_",
        "__x32_compat_",
        "__se_compat_",
        "__do_compat_",
        "compat_",
        "ksys_",
    ];
    (known.contains(&before) && !call.is_empty()).then_some(call)
}

/// The attach type of a program, and the release that brought it, where this kernel does not know
/// it. The kernel's own list decides; where nobody read that, its release is all there is.
pub(crate) fn unknown_attach<'a>(case: &Case<'a>) -> Option<(&'a str, &'static str)> {
    let name = case.program.attach_type.as_deref()?;
    let release = history::attach_type(name)?;
    let known = case
        .features(FeatureKind::AttachType, name)
        .find_map(|f| f.present);
    let older = || history::is_older(&case.evidence.guest.release, release);
    (!known.unwrap_or_else(|| !older())).then_some((name, release))
}

/// Attach types that the load already names (`expected_attach_type`). A kernel that does not know
/// one refuses the attributes without a word, but for sleepable tracing programs, which it takes for
/// a kind that cannot be so.
pub(crate) fn unknown_at_load(case: &Case<'_>) -> Option<Diagnosis> {
    let (name, release) = unknown_attach(case)?;
    let errno = case.program.load.errno;
    let mistaken = case.program.program_type == "tracing"
        && (case.sentence.as_deref())
            .is_some_and(|sentence| sentence.contains("programs can be sleepable"));
    if errno != Some(EINVAL) || !(case.is_silent() || mistaken) {
        return None;
    }
    Some(unknown_attach_type(case, name, release, Stage::Load, errno))
}

/// Also of a refused attachment.
pub(crate) fn unknown_attach_type(
    case: &Case<'_>,
    name: &str,
    release: &str,
    stage: Stage,
    errno: Option<i32>,
) -> Diagnosis {
    let headline = format!(
        "the kernel does not take attach type `{name}` (mainline {release}), which {} (`{}`) is \
         for: {}",
        case.name(),
        case.section(),
        errno::name(errno)
    );
    let instead = match name {
        "tcx_ingress" | "tcx_egress" => "attach through a clsact qdisc on kernels without tcx",
        "trace_kprobe_multi" | "trace_kprobe_session" => {
            "attach single kprobes on kernels without it"
        }
        "trace_uprobe_multi" | "trace_uprobe_session" => {
            "attach single uprobes on kernels without it"
        }
        "trace_fsession" => "attach `fentry` and `fexit` programs on kernels without it",
        "netkit_primary" | "netkit_peer" => "use veth devices and tc on kernels without netkit",
        "lsm_cgroup" => {
            "attach as `lsm` on kernels without it, and look for the cgroup in the program"
        }
        "sk_skb_verdict" => {
            "attach as `sk_skb/stream_verdict` on kernels without it, with a stream parser"
        }
        "sk_reuseport_select_or_migrate" => "attach as `sk_reuseport` on kernels without it",
        "xdp_devmap" | "xdp_cpumap" => {
            "do the work in the program that redirects, before it calls `bpf_redirect_map`"
        }
        name if name.starts_with("cgroup_unix") => {
            "attach to the LSM hook or to the function of `AF_UNIX` sockets on kernels without it"
        }
        _ => "",
    };
    let off = "switch the program off there (`bpf_program__set_autoload`)";
    let hints = match instead {
        "" => vec![format!("{off}: mainline has it from {release} on")],
        instead => vec![instead.to_owned(), format!("or {off}")],
    };
    crate::finding::diagnosis(Code::UnsupportedAttachType, stage, headline, hints)
}
