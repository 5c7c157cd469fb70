//! What a section name asks to attach to, and whether the kernel has it.

use crate::nearest_names::nearest;
use ukci_schema::evidence::{Feature, FeatureKind, ProgramEvidence};

use crate::kernel::{self, Btf, Kernel};

/// The section, or what the manifest has in its place.
pub(crate) fn section_of(program: &ProgramEvidence) -> &str {
    program.attach_to.as_deref().unwrap_or(&program.section)
}

/// A function, tracepoint or hook that a section names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    name: String,
    kind: TargetKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TargetKind {
    /// A function to probe: any text symbol.
    Symbol,
    /// A function to trace through BTF.
    BtfFunction,
    /// `category/name` in tracefs.
    Tracepoint,
    /// A raw tracepoint: `btf_trace_NAME`.
    RawTracepoint,
    /// An LSM hook: `bpf_lsm_NAME`.
    LsmHook,
    /// An iterator: `bpf_iter_NAME`.
    Iterator,
}

impl Target {
    /// The target that a section names, if it names one that can be looked up.
    pub fn of(section: &str) -> Option<Self> {
        let (kind, name) = section.trim_start_matches('?').split_once('/')?;
        let kind = match kind {
            "kprobe" | "kretprobe" | "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
                TargetKind::Symbol
            }
            "fentry" | "fexit" | "fmod_ret" | "fentry.s" | "fexit.s" | "fmod_ret.s"
            | "fsession" | "fsession.s" => TargetKind::BtfFunction,
            "tracepoint" | "tp" => TargetKind::Tracepoint,
            "raw_tp" | "raw_tracepoint" | "tp_btf" | "raw_tp.w" | "raw_tracepoint.w" => {
                TargetKind::RawTracepoint
            }
            "lsm" | "lsm.s" | "lsm_cgroup" => TargetKind::LsmHook,
            "iter" | "iter.s" => TargetKind::Iterator,
            _ => return None,
        };
        // kprobe/name+offset
        let name = name.split('+').next().unwrap_or(name);
        Some(Self {
            name: name.to_owned(),
            kind,
        })
    }

    /// As the section has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The symbol that a module which owns the target defines; none where no module can.
    pub(crate) fn symbol(&self) -> Option<String> {
        match self.kind {
            TargetKind::Symbol | TargetKind::BtfFunction => Some(self.name.clone()),
            TargetKind::Tracepoint | TargetKind::RawTracepoint => {
                let event = self.name.rsplit('/').next()?;
                Some(format!("__tracepoint_{event}"))
            }
            TargetKind::LsmHook | TargetKind::Iterator => None,
        }
    }

    /// Whether the kernel has it, and from what that is known.
    fn look_up(&self, kernel: &Kernel) -> (Option<bool>, &'static str) {
        let named = |prefix: &str| format!("{prefix}{}", self.name);
        let function = |btf: &Btf, name: &str| {
            btf.has_function(name) || kernel::module_with_function(btf, name).is_some()
        };
        let btf = kernel.btf();
        match self.kind {
            // A pattern: what it matches is for the kernel to say.
            TargetKind::Symbol if self.name.contains(['*', '?']) => (None, "kallsyms"),
            TargetKind::Symbol => {
                let symbols = kernel.text_symbols();
                (
                    (!symbols.is_empty()).then(|| symbols.contains(&self.name)),
                    "kallsyms",
                )
            }
            TargetKind::BtfFunction => (btf.map(|btf| function(btf, &self.name)), "vmlinux-btf"),
            TargetKind::Tracepoint => (Some(kernel::has_tracepoint(&self.name)), "tracefs"),
            TargetKind::RawTracepoint => (
                btf.map(|btf| kernel::has_typedef(btf, &named("btf_trace_"))),
                "vmlinux-btf",
            ),
            TargetKind::LsmHook => (
                btf.map(|btf| btf.has_function(&named("bpf_lsm_"))),
                "vmlinux-btf",
            ),
            TargetKind::Iterator => (
                btf.map(|btf| function(btf, &named("bpf_iter_"))),
                "vmlinux-btf",
            ),
        }
    }

    /// Whether the kernel is known not to have it.
    pub(crate) fn is_missing(&self, kernel: &Kernel) -> bool {
        self.look_up(kernel).0 == Some(false)
    }

    /// What there is to say of it; the nearest names where it is missing.
    pub fn ask(&self, kernel: &Kernel) -> Feature {
        let (present, source) = self.look_up(kernel);
        Feature {
            kind: FeatureKind::Target,
            name: self.name.clone(),
            id: None,
            program_type: None,
            present,
            source: source.into(),
            detail: match present {
                Some(false) => self.instead(kernel),
                Some(true) => self.arguments(kernel),
                None => None,
            },
        }
    }

    /// How many arguments a function of vmlinux has that is to be traced: `8 arguments`.
    fn arguments(&self, kernel: &Kernel) -> Option<String> {
        let btf = kernel
            .btf()
            .filter(|_| self.kind == TargetKind::BtfFunction)?;
        Some(format!(
            "{}{}",
            btf.arguments(&self.name)?,
            Feature::ARGUMENTS
        ))
    }

    /// What the compiler made of the function where it kept no copy under its own name:
    /// `NAME.isra.0`, `NAME.constprop.0`, `NAME.part.0`. `NAME.cold` is no function.
    fn clones<'a>(&self, symbols: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let is_clone = |name: &&str| {
            let suffix = name.strip_prefix(self.name.as_str());
            suffix.is_some_and(|suffix| suffix.starts_with('.') && !suffix.contains(".cold"))
        };
        symbols.filter(is_clone).take(3).collect()
    }

    /// What there is where the target is not: `near: a, b, c`.
    fn instead(&self, kernel: &Kernel) -> Option<String> {
        if self.kind == TargetKind::BtfFunction && kernel.text_symbols().contains(&self.name) {
            // Inlined copies, assembly; all of a module before 5.11.
            return Some(Feature::SYMBOL_WITHOUT_BTF.into());
        }
        let without = |prefix: &'static str| {
            let symbols = kernel.text_symbols().iter();
            symbols.filter_map(move |name| name.strip_prefix(prefix))
        };
        let tracepoints = kernel::tracepoints();
        let near = match self.kind {
            TargetKind::Tracepoint => nearest(&self.name, tracepoints.iter().map(String::as_str)),
            TargetKind::RawTracepoint => nearest(
                &self.name,
                tracepoints
                    .iter()
                    .filter_map(|event| Some(event.split_once('/')?.1)),
            ),
            // The function that calls the hook, and BPF's own, have its name with a prefix.
            TargetKind::LsmHook => {
                let prefixes = ["security_", "bpf_lsm_"];
                let hook = prefixes.iter().find_map(|p| self.name.strip_prefix(p));
                nearest(hook.unwrap_or(&self.name), without("bpf_lsm_"))
            }
            TargetKind::Iterator => nearest(&self.name, without("bpf_iter_")),
            TargetKind::Symbol | TargetKind::BtfFunction => {
                let symbols = kernel.text_symbols().iter().map(String::as_str);
                let clones = self.clones(symbols.clone());
                if !clones.is_empty() {
                    return Some(format!("{}{}", Feature::CLONES, clones.join(", ")));
                }
                // Neither paddings nor parts that the compiler split off.
                let whole =
                    symbols.filter(|name| !name.starts_with("__pfx_") && !name.contains('.'));
                nearest(&self.name, whole)
            }
        };
        (!near.is_empty()).then(|| format!("near: {}", near.join(", ")))
    }
}

/// The target that a section names.
pub fn target_of(section: &str) -> Option<String> {
    Target::of(section).map(|target| target.name)
}

#[cfg(test)]
mod tests {
    use super::{Target, target_of};

    #[test]
    fn clones_of_a_function_are_told_from_its_parts_and_from_others() {
        let target = Target::of("kprobe/reply").unwrap();
        let symbols = [
            "reply.constprop.0",
            "reply.isra.0.cold",
            "reply.isra.0",
            "reply.cold",
            "reply_all",
            "prepare_reply.isra.0",
        ];
        assert_eq!(
            target.clones(symbols.into_iter()),
            ["reply.constprop.0", "reply.isra.0"]
        );
    }

    #[test]
    fn sections_name_targets() {
        assert_eq!(
            target_of("kprobe/do_unlinkat+0x8").as_deref(),
            Some("do_unlinkat")
        );
        assert_eq!(
            target_of("tp/sched/sched_switch").as_deref(),
            Some("sched/sched_switch")
        );
        assert_eq!(target_of("?lsm.s/file_open").as_deref(), Some("file_open"));
        assert_eq!(target_of("xdp"), None);
    }

    #[test]
    fn a_modules_tracepoint_is_found_by_the_symbol_it_defines() {
        let symbol = |section| Target::of(section).unwrap().symbol();
        assert_eq!(
            symbol("tp/kvm/kvm_entry").as_deref(),
            Some("__tracepoint_kvm_entry")
        );
        assert_eq!(
            symbol("fentry/nf_conntrack_in").as_deref(),
            Some("nf_conntrack_in")
        );
        assert_eq!(symbol("lsm/file_open"), None);
    }
}
