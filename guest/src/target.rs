//! Reads what a section name attaches to, and checks whether the kernel has it.
//!
//! The input is a section's name. The output is features: whether the target exists, how that is
//! known, whether it has a place to attach to, and the nearest names if it does not exist. Nothing
//! is attached.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use ukci_schema::evidence::{Feature, FeatureKind, ProgramEvidence};

use crate::attach_sites::is_function;
use crate::kernel::{self, Btf, Kernel};
use crate::nearest_names::{Names, nearest};

/// The section, or what the manifest has in its place.
pub(crate) fn section_of(program: &ProgramEvidence) -> &str {
    program.attach_to.as_deref().unwrap_or(&program.section)
}

/// A function, tracepoint or hook that a section names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// As the section has it.
    name: String,
    /// The only owner that is looked into, `vmlinux` or a module: libbpf takes `MODULE:NAME` where it
    /// looks a target up in BTF.
    owner: Option<String>,
    kind: TargetKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TargetKind {
    /// A function to probe: any text symbol.
    Symbol,
    /// Functions to probe, all that match a pattern.
    Symbols,
    /// A function to trace through BTF.
    BtfFunction,
    /// A system call by its name without prefix.
    SystemCall,
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
            "kprobe.multi" | "kretprobe.multi" | "kprobe.session" if name.contains(['*', '?']) => {
                TargetKind::Symbols
            }
            "kprobe" | "kretprobe" | "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => {
                TargetKind::Symbol
            }
            "ksyscall" | "kretsyscall" => TargetKind::SystemCall,
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
        let by_btf = matches!(kind, TargetKind::BtfFunction)
            || (kind == TargetKind::RawTracepoint && section.contains("tp_btf/"));
        let owner = name.split_once(':').filter(|_| by_btf);
        Some(Self {
            name: name.to_owned(),
            owner: owner.map(|(owner, _)| owner.to_owned()),
            kind,
        })
    }

    /// The name without its owner.
    fn bare(&self) -> &str {
        match &self.owner {
            Some(owner) => self.name.get(owner.len() + 1..).unwrap_or_default(),
            None => &self.name,
        }
    }

    /// The module that the section itself names as the owner.
    pub(crate) fn named_module(&self) -> Option<&str> {
        self.owner.as_deref().filter(|owner| *owner != VMLINUX)
    }

    /// As the section has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The symbol that a module which owns the target defines; `None` if no module can.
    pub(crate) fn symbol(&self) -> Option<String> {
        match self.kind {
            TargetKind::Symbol | TargetKind::BtfFunction => Some(self.bare().to_owned()),
            TargetKind::Tracepoint | TargetKind::RawTracepoint => {
                let event = self.bare().rsplit('/').next()?;
                Some(format!("__tracepoint_{event}"))
            }
            TargetKind::Symbols
            | TargetKind::LsmHook
            | TargetKind::Iterator
            | TargetKind::SystemCall => None,
        }
    }

    /// Whether the kernel has it, and from what that is known.
    fn look_up(&self, kernel: &Kernel) -> (Option<bool>, &'static str) {
        let named = |prefix: &str| format!("{prefix}{}", self.bare());
        let within = |btf: &Btf, has: &dyn Fn(&Btf) -> bool| match self.named_module() {
            Some(module) => Btf::module(module, btf).is_some_and(|btf| has(&btf)),
            None => has(btf) || (self.owner.is_none() && kernel::module_with(btf, has).is_some()),
        };
        let function = |btf: &Btf, name: &str| within(btf, &|btf: &Btf| btf.has_function(name));
        let btf = kernel.btf();
        match self.kind {
            TargetKind::Symbols => {
                let traceable = kernel.sites().traceable();
                let any = |all: &BTreeSet<String>| all.iter().any(|name| self.matches(name));
                (traceable.map(any), "available_filter_functions")
            }
            TargetKind::Symbol => {
                let symbols = kernel.text_symbols();
                (
                    (!symbols.is_empty()).then(|| symbols.contains(&self.name)),
                    "kallsyms",
                )
            }
            TargetKind::BtfFunction => (btf.map(|btf| function(btf, self.bare())), "vmlinux-btf"),
            TargetKind::SystemCall => {
                // As libbpf looks for it: the architecture's wrapper, or what it wraps.
                let symbols = kernel.text_symbols();
                let any = SYSTEM_CALLS
                    .iter()
                    .any(|prefix| symbols.contains(&named(prefix)));
                ((!symbols.is_empty()).then_some(any), "kallsyms")
            }
            TargetKind::Tracepoint => (Some(kernel::has_tracepoint(&self.name)), "tracefs"),
            TargetKind::RawTracepoint => (
                btf.map(|btf| within(btf, &|btf: &Btf| btf.has_typedef(&named("btf_trace_")))),
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

    /// Whether a name matches the pattern, as libbpf's `glob_match` has it.
    fn matches(&self, name: &str) -> bool {
        fn matches(pattern: &[u8], name: &[u8]) -> bool {
            match (pattern.first(), name.first()) {
                (None, None) => true,
                (Some(b'*'), _) => {
                    matches(&pattern[1..], name)
                        || (!name.is_empty() && matches(pattern, &name[1..]))
                }
                (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
                (Some(one), Some(other)) if one == other => matches(&pattern[1..], &name[1..]),
                _ => false,
            }
        }
        matches(self.name.as_bytes(), name.as_bytes())
    }

    /// Whether the kernel is known not to have it.
    pub(crate) fn is_missing(&self, kernel: &Kernel) -> bool {
        self.look_up(kernel).0 == Some(false)
    }

    /// What there is to say of it; the nearest names where it is missing.
    pub fn ask(&self, functions: &Functions<'_>) -> Feature {
        let kernel = functions.kernel;
        let (present, source) = self.look_up(kernel);
        Feature {
            kind: FeatureKind::Target,
            name: self.name.clone(),
            id: None,
            program_type: None,
            present,
            source: self.module(kernel).unwrap_or_else(|| source.into()),
            detail: match present {
                Some(false) => self.instead(functions),
                Some(true) => self.arguments(kernel),
                None => None,
            },
        }
    }

    /// `module-btf:NAME`, where a module's BTF has the function and vmlinux's has not.
    fn module(&self, kernel: &Kernel) -> Option<String> {
        let btf = kernel.btf()?;
        if self.kind != TargetKind::BtfFunction || btf.has_function(self.bare()) {
            return None;
        }
        let module = kernel::module_with_function(btf, self.bare())?;
        Some(format!("module-btf:{module}"))
    }

    /// Whether the function has the places that attaching needs: an ftrace site, and for a kprobe
    /// the kernel's leave, with how many symbols share the name. Nothing of what is no function.
    pub(crate) fn sites(&self, functions: &Functions<'_>) -> Vec<Feature> {
        let kernel = functions.kernel;
        let is_probe = self.kind == TargetKind::Symbol;
        if !is_probe && self.kind != TargetKind::BtfFunction {
            return Vec::new();
        }
        let feature = |kind, present, source: &str, detail| Feature {
            kind,
            name: self.name.clone(),
            id: None,
            program_type: None,
            present,
            source: source.into(),
            detail,
        };
        let traceable = kernel.sites().traceable();
        let present = traceable.map(|names| names.contains(self.bare()));
        let near = (present == Some(false))
            .then(|| self.near(functions))
            .flatten();
        let kind = FeatureKind::FtraceSite;
        let mut sites = vec![feature(kind, present, "available_filter_functions", near)];
        if is_probe {
            let blacklist = kernel.sites().blacklist();
            let present = blacklist.map(|names| !names.contains(&self.name));
            let count = kernel.symbols_named(self.bare());
            let several = (count > 1).then(|| format!("{count}{}", Feature::OF_THIS_NAME));
            let kind = FeatureKind::KprobeSite;
            sites.push(feature(kind, present, "kprobes/blacklist", several));
        }
        sites
    }

    /// How many arguments a function or raw tracepoint of vmlinux has: `8 arguments`. Copies of the
    /// function where it has BTF and no symbol.
    fn arguments(&self, kernel: &Kernel) -> Option<String> {
        let btf = kernel.btf()?;
        let count = match self.kind {
            // In BTF alone: nothing can be attached there, but to what the compiler made of it.
            TargetKind::BtfFunction if !kernel.text_symbols().contains(self.bare()) => {
                let symbols = kernel.text_symbols().iter().map(String::as_str);
                let clones = self.clones(symbols);
                return (!clones.is_empty())
                    .then(|| format!("{}{}", Feature::CLONES, clones.join(", ")));
            }
            TargetKind::BtfFunction => btf.arguments(self.bare())?,
            TargetKind::RawTracepoint => btf.tracepoint_arguments(self.bare())?,
            _ => return None,
        };
        Some(format!("{count}{}", Feature::ARGUMENTS))
    }

    /// What the compiler made of the function where it kept no copy under its own name:
    /// `NAME.isra.0`, `NAME.constprop.0`, `NAME.part.0`. `NAME.cold` is no function.
    fn clones<'a>(&self, symbols: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let is_clone = |name: &&str| {
            let suffix = name.strip_prefix(self.bare());
            suffix.is_some_and(|suffix| suffix.starts_with('.') && !suffix.contains(".cold"))
        };
        symbols.filter(is_clone).take(3).collect()
    }

    /// What there is where the target is not: `near: a, b, c`.
    fn instead(&self, functions: &Functions<'_>) -> Option<String> {
        let kernel = functions.kernel;
        if self.kind == TargetKind::BtfFunction && kernel.text_symbols().contains(self.bare()) {
            // Inlined copies, assembly; all of a module before 5.11.
            return Some(Feature::SYMBOL_WITHOUT_BTF.into());
        }
        // Of a module before 5.11. The kernel itself has BTF of each tracepoint that it has.
        if self.kind == TargetKind::RawTracepoint {
            let event = format!("/{}", self.bare());
            if kernel::tracepoints()
                .iter()
                .any(|name| name.ends_with(&event))
            {
                return Some(Feature::SYMBOL_WITHOUT_BTF.into());
            }
        }
        if matches!(self.kind, TargetKind::Symbol | TargetKind::BtfFunction) {
            let symbols = kernel.text_symbols().iter().map(String::as_str);
            let clones = self.clones(symbols);
            if !clones.is_empty() {
                return Some(format!("{}{}", Feature::CLONES, clones.join(", ")));
            }
        }
        self.near(functions)
    }

    /// The nearest names that can be attached to: `near: a, b, c`.
    fn near(&self, functions: &Functions<'_>) -> Option<String> {
        if let Some(near) = functions.found.borrow().get(self) {
            return near.clone();
        }
        let near = self.find_near(functions);
        let mut found = functions.found.borrow_mut();
        found.insert(self.clone(), near.clone());
        near
    }

    fn find_near(&self, functions: &Functions<'_>) -> Option<String> {
        let kernel = functions.kernel;
        let without = |prefix: &'static str| {
            let symbols = kernel.text_symbols().iter();
            symbols.filter_map(move |name| name.strip_prefix(prefix))
        };
        let tracepoints = kernel::tracepoints();
        let any = |_: &str| true;
        let near = match self.kind {
            TargetKind::Tracepoint => {
                nearest(&self.name, tracepoints.iter().map(String::as_str), any)
            }
            TargetKind::RawTracepoint => {
                let names = tracepoints.iter();
                let names = names.filter_map(|event| Some(event.split_once('/')?.1));
                nearest(self.bare(), names, any)
            }
            // The function that calls the hook, and BPF's own, have its name with a prefix.
            TargetKind::LsmHook => {
                let prefixes = ["security_", "bpf_lsm_"];
                let hook = prefixes.iter().find_map(|p| self.name.strip_prefix(p));
                nearest(hook.unwrap_or(&self.name), without("bpf_lsm_"), any)
            }
            TargetKind::Iterator => nearest(&self.name, without("bpf_iter_"), any),
            TargetKind::SystemCall => nearest(&self.name, without("__se_sys_"), any),
            // The pattern's letters are nothing that names could be compared with.
            TargetKind::Symbols => Vec::new(),
            TargetKind::Symbol | TargetKind::BtfFunction => {
                let has_type = |name: &str| {
                    self.kind == TargetKind::Symbol
                        || kernel.btf().is_some_and(|btf| btf.has_function(name))
                };
                functions.names().nearest(self.bare(), |name| {
                    kernel.sites().is_attachable(name) && has_type(name)
                })
            }
        };
        (!near.is_empty()).then(|| format!("near: {}", near.join(", ")))
    }
}

/// The functions of a kernel, among which the nearest names are found. An object may name ten
/// functions that are missing, and under emulation reading the names takes a second.
#[derive(Debug)]
pub struct Functions<'a> {
    kernel: &'a Kernel,
    names: OnceCell<Names<'a>>,
    /// What [`Target::near`] answered.
    found: RefCell<BTreeMap<Target, Option<String>>>,
}

impl<'a> Functions<'a> {
    /// Those of this kernel. They are read when the first is looked for.
    pub fn of(kernel: &'a Kernel) -> Self {
        Self {
            kernel,
            names: OnceCell::new(),
            found: RefCell::default(),
        }
    }

    fn names(&self) -> &Names<'a> {
        self.names.get_or_init(|| {
            let symbols = self.kernel.text_symbols().iter().map(String::as_str);
            Names::of(symbols.filter(|name| is_function(name)))
        })
    }
}

/// What libbpf calls the kernel itself among the owners of BTF.
const VMLINUX: &str = "vmlinux";

/// What libbpf puts before the name of a system call.
const SYSTEM_CALLS: &[&str] = &["__x64_sys_", "__arm64_sys_", "__riscv_sys_", "__se_sys_"];

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
    fn a_pattern_matches_as_libbpfs_does() {
        let matches = |pattern: &str, name| {
            let section = format!("kprobe.multi/{pattern}");
            Target::of(&section).unwrap().matches(name)
        };
        assert!(matches("vfs_*", "vfs_read") && matches("*", "") && matches("v?s*d", "vfs_read"));
        assert!(!matches("vfs_*", "do_vfs") && !matches("vfs?", "vfs") && !matches("", "x"));
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
    fn a_section_may_name_the_module_where_libbpf_looks_into_btf() {
        let read = |section| {
            let target = Target::of(section).unwrap();
            (
                target.named_module().map(str::to_owned),
                target.bare().to_owned(),
            )
        };
        let of_module = |name: &str| (Some("nf_conntrack".to_owned()), name.to_owned());
        assert_eq!(
            read("fentry/nf_conntrack:nf_ct_delete"),
            of_module("nf_ct_delete")
        );
        assert_eq!(read("tp_btf/nf_conntrack:x"), of_module("x"));
        assert_eq!(read("fexit.s/vmlinux:vfs_read"), (None, "vfs_read".into()));
        assert_eq!(
            read("kprobe/nf_conntrack:nf_ct_delete"),
            (None, "nf_conntrack:nf_ct_delete".into())
        );
        let target = Target::of("fentry/nf_conntrack:nf_ct_delete").unwrap();
        assert_eq!(target.symbol().as_deref(), Some("nf_ct_delete"));
        assert_eq!(target.name(), "nf_conntrack:nf_ct_delete");
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
