//! Reads what the running kernel says about itself: its BTF, the BTF of its modules, its symbols
//! and its events.
//!
//! The output is answers by name. Each file is read once. Nothing is loaded or attached.
#![expect(unsafe_code, reason = "libbpf's BTF reader is a C library")]

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::fs;
use std::ptr::NonNull;

use libbpf_sys as sys;

use crate::attach_sites::AttachSites;

/// What was asked of the kernel once and does not change until a module is loaded.
#[derive(Debug, Default)]
pub struct Kernel {
    btf: OnceCell<Option<Btf>>,
    /// `/proc/kallsyms`, of some 10 MB, which the kernel writes anew for each reader.
    all_symbols: OnceCell<String>,
    symbols: OnceCell<BTreeSet<String>>,
    sites: AttachSites,
}

impl Kernel {
    /// The type information of vmlinux.
    pub fn btf(&self) -> Option<&Btf> {
        self.btf.get_or_init(Btf::vmlinux).as_ref()
    }

    /// Where functions can be attached to.
    pub(crate) fn sites(&self) -> &AttachSites {
        &self.sites
    }

    /// Names of the text symbols, loaded modules' included; empty where they are hidden.
    pub fn text_symbols(&self) -> &BTreeSet<String> {
        self.symbols.get_or_init(|| {
            let names = self.all_symbols().lines().filter_map(text_symbol);
            names.map(str::to_owned).collect()
        })
    }

    /// How many symbols have this name, variables among them: the kernel counts those too before it
    /// puts a kprobe there.
    pub(crate) fn symbols_named(&self, name: &str) -> usize {
        (self.all_symbols().lines())
            .filter(|line| line.split_ascii_whitespace().nth(2) == Some(name))
            .count()
    }

    fn all_symbols(&self) -> &str {
        self.all_symbols
            .get_or_init(|| fs::read_to_string("/proc/kallsyms").unwrap_or_default())
    }
}

/// The kernel's own type information.
#[derive(Debug)]
pub struct Btf {
    ptr: NonNull<sys::btf>,
}

impl Btf {
    /// That of vmlinux; `None` if the kernel has none.
    pub fn vmlinux() -> Option<Self> {
        // SAFETY: returns an owned object or NULL.
        NonNull::new(unsafe { sys::btf__load_vmlinux_btf() }).map(|ptr| Self { ptr })
    }

    /// That of a loaded module, which refers to vmlinux's.
    pub(crate) fn module(name: &str, vmlinux: &Self) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: as above; `vmlinux` outlives every use, for both are dropped by one owner.
        let ptr = unsafe { sys::btf__load_module_btf(name.as_ptr(), vmlinux.ptr.as_ptr()) };
        NonNull::new(ptr).map(|ptr| Self { ptr })
    }

    /// That which the kernel keeps under an id: of a program, or with `vmlinux` of a module.
    pub(crate) fn of_id(id: u32, vmlinux: Option<&Self>) -> Option<Self> {
        // SAFETY: returns an owned object or NULL; for `vmlinux`, see `module`.
        let ptr = unsafe {
            match vmlinux {
                Some(base) => sys::btf__load_from_kernel_by_id_split(id, base.ptr.as_ptr()),
                None => sys::btf__load_from_kernel_by_id(id),
            }
        };
        NonNull::new(ptr).map(|ptr| Self { ptr })
    }

    /// A string of its own, such as a line of source.
    pub(crate) fn string(&self, offset: u32) -> String {
        // SAFETY: libbpf answers NULL for an offset that is not in the strings.
        unsafe {
            let text = sys::btf__str_by_offset(self.ptr.as_ptr(), offset);
            if text.is_null() {
                return String::new();
            }
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }

    /// For those who read it with libbpf; it lives as long as `self`.
    pub(crate) fn as_ptr(&self) -> *const sys::btf {
        self.ptr.as_ptr()
    }

    /// The id of a type of this kind and name.
    pub(crate) fn find(&self, name: &str, kind: u32) -> Option<u32> {
        let name = CString::new(name).ok()?;
        // SAFETY: the object is alive; the name is a C string.
        let id = unsafe { sys::btf__find_by_name_kind(self.ptr.as_ptr(), name.as_ptr(), kind) };
        u32::try_from(id).ok().filter(|id| *id > 0)
    }

    /// Whether it has a function of this name.
    pub fn has_function(&self, name: &str) -> bool {
        self.find(name, sys::BTF_KIND_FUNC).is_some()
    }

    /// How many arguments a function of this name has, `...` among them.
    pub(crate) fn arguments(&self, name: &str) -> Option<u32> {
        let id = self.find(name, sys::BTF_KIND_FUNC)?;
        // SAFETY: a function's second word is the id of its prototype, which libbpf validated, and
        // libbpf answers NULL for an id that there is not.
        unsafe {
            let function = sys::btf__type_by_id(self.ptr.as_ptr(), id).as_ref()?;
            let prototype = function.__bindgen_anon_1.type_;
            let prototype = sys::btf__type_by_id(self.ptr.as_ptr(), prototype).as_ref()?;
            Some(prototype.info & 0xffff)
        }
    }

    /// How many arguments a tracepoint passes to raw programs: those of `btf_trace_NAME`, a typedef
    /// of a pointer to a prototype, without its first, which is the tracepoint's own data.
    pub(crate) fn tracepoint_arguments(&self, name: &str) -> Option<u32> {
        let id = self.find(&format!("btf_trace_{name}"), sys::BTF_KIND_TYPEDEF)?;
        // SAFETY: the second word of a typedef and of a pointer is the id of the type that they are
        // of; libbpf answers NULL for an id that there is not.
        unsafe {
            let of = |id| sys::btf__type_by_id(self.ptr.as_ptr(), id).as_ref();
            let pointer = of(of(id)?.__bindgen_anon_1.type_)?;
            let prototype = of(pointer.__bindgen_anon_1.type_)?;
            let is_prototype = prototype.info >> 24 & 0x1f == sys::BTF_KIND_FUNC_PROTO;
            is_prototype.then(|| (prototype.info & 0xffff).saturating_sub(1))
        }
    }

    /// Whether it has a typedef of this name.
    pub fn has_typedef(&self, name: &str) -> bool {
        self.find(name, sys::BTF_KIND_TYPEDEF).is_some()
    }

    /// Whether it has a struct of this name.
    pub fn has_struct(&self, name: &str) -> bool {
        self.find(name, sys::BTF_KIND_STRUCT).is_some()
    }

    /// Id, kind and name of every type of its own, not those of a module's vmlinux.
    pub(crate) fn types(&self) -> Vec<(u32, u32, String)> {
        // SAFETY: the object is alive; ids from 1 to the count have a type, whose name offset lies
        // in the string section, since libbpf validated both.
        unsafe {
            let base = sys::btf__base_btf(self.ptr.as_ptr());
            let first = if base.is_null() {
                1
            } else {
                sys::btf__type_cnt(base)
            };
            (first..sys::btf__type_cnt(self.ptr.as_ptr()))
                .filter_map(|id| {
                    let kind = sys::btf__type_by_id(self.ptr.as_ptr(), id).as_ref()?;
                    let name = sys::btf__name_by_offset(self.ptr.as_ptr(), kind.name_off);
                    if name.is_null() {
                        return None;
                    }
                    let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                    Some((id, kind.info >> 24 & 0x1f, name))
                })
                .collect()
        }
    }

    /// The functions that carry a declaration tag of this name.
    pub(crate) fn tagged(&self, tag: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (id, kind, name) in self.types() {
            if kind != sys::BTF_KIND_DECL_TAG || name != tag {
                continue;
            }
            // SAFETY: the id is one of this object's; a tag's second word is the id that it is on,
            // which libbpf validated.
            unsafe {
                let of = sys::btf__type_by_id(self.ptr.as_ptr(), id);
                let on = (*of).__bindgen_anon_1.type_;
                let on = sys::btf__type_by_id(self.ptr.as_ptr(), on);
                if !on.is_null() {
                    let name = sys::btf__name_by_offset(self.ptr.as_ptr(), (*on).name_off);
                    names.insert(CStr::from_ptr(name).to_string_lossy().into_owned());
                }
            }
        }
        names
    }

    /// The names of a struct's members, in order, with the id of each one's type.
    pub(crate) fn members(&self, id: u32) -> Vec<(String, u32)> {
        // SAFETY: as for `enumerators`: a struct's `vlen` records follow its `btf_type`.
        unsafe {
            let kind = sys::btf__type_by_id(self.ptr.as_ptr(), id);
            if kind.is_null() || (*kind).info >> 24 & 0x1f != sys::BTF_KIND_STRUCT {
                return Vec::new();
            }
            let count = ((*kind).info & 0xffff) as usize;
            let records = kind.add(1).cast::<sys::btf_member>();
            std::slice::from_raw_parts(records, count)
                .iter()
                .map(|record| {
                    let name = sys::btf__name_by_offset(self.ptr.as_ptr(), record.name_off);
                    let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                    (name, record.type_)
                })
                .collect()
        }
    }

    /// The name of a type.
    pub(crate) fn name(&self, id: u32) -> String {
        // SAFETY: libbpf answers NULL for an id that there is not.
        unsafe {
            let kind = sys::btf__type_by_id(self.ptr.as_ptr(), id);
            if kind.is_null() {
                return String::new();
            }
            let name = sys::btf__name_by_offset(self.ptr.as_ptr(), (*kind).name_off);
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    /// The names and values of an enum.
    pub fn enumerators(&self, name: &str) -> Option<BTreeMap<u32, String>> {
        let id = self.find(name, sys::BTF_KIND_ENUM)?;
        // SAFETY: libbpf validated the BTF when it loaded it: an enum's `vlen` records follow its
        // `btf_type`, and each name offset lies in the string section.
        unsafe {
            let kind = sys::btf__type_by_id(self.ptr.as_ptr(), id);
            if kind.is_null() {
                return None;
            }
            let count = ((*kind).info & 0xffff) as usize;
            let records = kind.add(1).cast::<sys::btf_enum>();
            Some(
                std::slice::from_raw_parts(records, count)
                    .iter()
                    .filter_map(|record| {
                        let name = sys::btf__name_by_offset(self.ptr.as_ptr(), record.name_off);
                        if name.is_null() {
                            return None;
                        }
                        let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                        Some((u32::try_from(record.val).ok()?, name))
                    })
                    .collect(),
            )
        }
    }
}

impl Drop for Btf {
    fn drop(&mut self) {
        // SAFETY: freed once, here.
        unsafe { sys::btf__free(self.ptr.as_ptr()) };
    }
}

/// The loaded module whose BTF has this function.
pub fn module_with_function(vmlinux: &Btf, name: &str) -> Option<String> {
    module_with(vmlinux, |btf| btf.has_function(name))
}

/// Whether vmlinux or a loaded module has a typedef of this name.
pub fn has_typedef(vmlinux: &Btf, name: &str) -> bool {
    vmlinux.has_typedef(name) || module_with(vmlinux, |btf| btf.has_typedef(name)).is_some()
}

/// Whether vmlinux or a loaded module has a variable of this name.
pub(crate) fn has_variable(vmlinux: &Btf, name: &str) -> bool {
    let has = |btf: &Btf| btf.find(name, sys::BTF_KIND_VAR).is_some();
    has(vmlinux) || module_with(vmlinux, has).is_some()
}

/// The loaded module in whose BTF something is found.
pub(crate) fn module_with(vmlinux: &Btf, has: impl Fn(&Btf) -> bool) -> Option<String> {
    modules_with_btf()
        .into_iter()
        .find(|module| Btf::module(module, vmlinux).is_some_and(|btf| has(&btf)))
}

/// The loaded modules that have BTF.
pub(crate) fn modules_with_btf() -> Vec<String> {
    let mut modules: Vec<String> = (fs::read_dir("/sys/kernel/btf").into_iter().flatten())
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|module| module != "vmlinux")
        .collect();
    modules.sort();
    modules
}

/// The name in a line `address kind name [module]`, if it is of code.
pub(crate) fn text_symbol(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let kind = words.next()?;
    matches!(kind, "t" | "T" | "w" | "W")
        .then(|| words.next())
        .flatten()
}

/// Whether tracefs has this event, `category/name`.
pub fn has_tracepoint(event: &str) -> bool {
    let plain = event
        .split('/')
        .all(|part| !part.is_empty() && part != "..");
    plain
        && ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
            .iter()
            .any(|root| fs::exists(format!("{root}/events/{event}")).unwrap_or(false))
}

/// Every event of tracefs, `category/name`.
pub fn tracepoints() -> Vec<String> {
    fs::read_to_string("/sys/kernel/tracing/available_events")
        .unwrap_or_default()
        .lines()
        .map(|line| line.replacen(':', "/", 1))
        .collect()
}
