//! Reads types of the kernel's or the object's BTF, and spells them as C does.
#![expect(unsafe_code, reason = "libbpf's BTF reader is a C library")]

use std::ffi::{CStr, CString};
use std::marker::PhantomData;

use libbpf_sys as sys;
use ukci_schema::evidence::Declared;

use crate::bpf::Object;
use crate::kernel::Btf;

/// How deep types may nest.
const DEEPEST: u32 = 32;

/// The types of one BTF.
pub(crate) struct Types<'a> {
    btf: *const sys::btf,
    owner: PhantomData<&'a ()>,
}

impl<'a> Types<'a> {
    /// Those of the kernel, or of one of its modules.
    pub(crate) fn of_kernel(btf: &'a Btf) -> Self {
        Self {
            btf: btf.as_ptr(),
            owner: PhantomData,
        }
    }

    /// Those of the object; `None` if it has no BTF.
    pub(crate) fn of_object(object: &'a Object) -> Option<Self> {
        Some(Self {
            btf: object.btf()?,
            owner: PhantomData,
        })
    }

    /// A function's declaration, as C writes it without the names of its arguments:
    /// `struct cgroup *bpf_cgroup_from_id(u64)`.
    pub(crate) fn declaration(&self, function: &str) -> Option<String> {
        let (result, arguments) = self.prototype(function)?;
        let result = self.spelling(result, 0);
        let gap = if result.ends_with('*') { "" } else { " " };
        let arguments = self.arguments(&arguments, 0);
        Some(format!("{result}{gap}{function}({arguments})"))
    }

    /// The types of arguments, as they stand between parentheses.
    fn arguments(&self, types: &[u32], depth: u32) -> String {
        let spelled = types.iter().map(|id| match id {
            0 => "...".to_owned(),
            id => self.spelling(*id, depth),
        });
        match types {
            [] => "void".to_owned(),
            _ => spelled.collect::<Vec<String>>().join(", "),
        }
    }

    /// The structs and unions in a function's declaration that have no body here.
    pub(crate) fn without_body(&self, function: &str) -> Vec<String> {
        let Some((result, arguments)) = self.prototype(function) else {
            return Vec::new();
        };
        let mut found: Vec<String> = (std::iter::once(result).chain(arguments))
            .filter_map(|id| self.pointed_to(id))
            .filter(|id| self.kind(*id) == sys::BTF_KIND_FWD)
            .map(|id| {
                // The flag of a forward declaration says that it is of a union.
                let union = self.record(id).is_some_and(|record| record.info >> 31 == 1);
                let keyword = if union { "union" } else { "struct" };
                format!("{keyword} {}", self.name(id))
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// The types of a function's result and arguments; 0 is `void`, and as the last argument `...`.
    fn prototype(&self, function: &str) -> Option<(u32, Vec<u32>)> {
        let name = CString::new(function).ok()?;
        // SAFETY: the BTF outlives `self`; the name is a C string.
        let id =
            unsafe { sys::btf__find_by_name_kind(self.btf, name.as_ptr(), sys::BTF_KIND_FUNC) };
        let id = u32::try_from(id).ok().filter(|id| *id > 0)?;
        self.parameters(self.referred(id)?)
    }

    /// The same of a prototype.
    fn parameters(&self, prototype: u32) -> Option<(u32, Vec<u32>)> {
        if self.kind(prototype) != sys::BTF_KIND_FUNC_PROTO {
            return None;
        }
        let record = self.record(prototype)?;
        let count = (record.info & 0xffff) as usize;
        let first = std::ptr::from_ref(record).wrapping_add(1);
        // SAFETY: libbpf validated the BTF: a prototype's `vlen` parameters follow its record.
        let arguments =
            unsafe { std::slice::from_raw_parts(first.cast::<sys::btf_param>(), count) };
        let arguments = arguments.iter().map(|argument| argument.type_).collect();
        Some((self.referred(prototype)?, arguments))
    }

    /// What a type points to in the end.
    fn pointed_to(&self, mut id: u32) -> Option<u32> {
        for _ in 0..DEEPEST {
            id = self.resolve(id)?;
            if self.kind(id) != sys::BTF_KIND_PTR {
                return Some(id);
            }
            id = self.referred(id)?;
        }
        None
    }

    fn record(&self, id: u32) -> Option<&sys::btf_type> {
        // SAFETY: the BTF outlives `self`; libbpf answers NULL for an id that there is not.
        unsafe { sys::btf__type_by_id(self.btf, id).as_ref() }
    }

    pub(crate) fn kind(&self, id: u32) -> u32 {
        self.record(id).map_or(0, |record| record.info >> 24 & 0x1f)
    }

    fn text(&self, offset: u32) -> String {
        // SAFETY: libbpf answers NULL for an offset that there is not.
        unsafe {
            let name = sys::btf__name_by_offset(self.btf, offset);
            if name.is_null() {
                return String::new();
            }
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    fn name(&self, id: u32) -> String {
        self.record(id)
            .map_or_else(String::new, |record| self.text(record.name_off))
    }

    /// What a type refers to; of those kinds that do.
    fn referred(&self, id: u32) -> Option<u32> {
        // SAFETY: the kinds that are requested have the id of another type in their second word.
        Some(unsafe { self.record(id)?.__bindgen_anon_1.type_ })
    }

    /// The type without typedefs and qualifiers.
    pub(crate) fn resolve(&self, mut id: u32) -> Option<u32> {
        for _ in 0..DEEPEST {
            id = match self.kind(id) {
                sys::BTF_KIND_TYPEDEF
                | sys::BTF_KIND_VOLATILE
                | sys::BTF_KIND_CONST
                | sys::BTF_KIND_RESTRICT
                | sys::BTF_KIND_TYPE_TAG => self.referred(id)?,
                _ => return Some(id),
            };
        }
        None
    }

    /// What a pointer points to.
    pub(crate) fn pointee(&self, id: u32) -> Option<u32> {
        let id = self.resolve(id)?;
        (self.kind(id) == sys::BTF_KIND_PTR).then(|| self.referred(id))?
    }

    /// The type and number of an array's elements.
    pub(crate) fn element(&self, id: u32) -> Option<(u32, u32)> {
        let id = self.resolve(id)?;
        if self.kind(id) != sys::BTF_KIND_ARRAY {
            return None;
        }
        let record: *const sys::btf_type = self.record(id)?;
        // SAFETY: libbpf validated the BTF: an array's record is followed by a `btf_array`.
        let array = unsafe { *record.add(1).cast::<sys::btf_array>() };
        Some((array.type_, array.nelems))
    }

    fn records(&self, id: u32) -> &[sys::btf_member] {
        if !matches!(self.kind(id), sys::BTF_KIND_STRUCT | sys::BTF_KIND_UNION) {
            return &[];
        }
        let Some(record) = self.record(id) else {
            return &[];
        };
        let count = (record.info & 0xffff) as usize;
        let first = std::ptr::from_ref(record).wrapping_add(1);
        // SAFETY: libbpf validated the BTF: a struct's `vlen` members follow its record.
        unsafe { std::slice::from_raw_parts(first.cast(), count) }
    }

    /// The type of a member of this name, also of an unnamed struct or union within.
    pub(crate) fn member(&self, id: u32, name: &str, depth: u32) -> Option<u32> {
        self.records(id).iter().find_map(|member| {
            let found = self.text(member.name_off);
            if found == name {
                return Some(member.type_);
            }
            let unnamed = found.is_empty() && depth < DEEPEST;
            unnamed.then(|| self.member(self.resolve(member.type_)?, name, depth + 1))?
        })
    }

    /// The names of all members, those of unnamed structs and unions among them.
    pub(crate) fn members(&self, id: u32, depth: u32) -> Vec<String> {
        let mut names = Vec::new();
        for member in self.records(id) {
            let name = self.text(member.name_off);
            if !name.is_empty() {
                names.push(name);
            } else if let Some(inner) = self.resolve(member.type_)
                && depth < DEEPEST
            {
                names.extend(self.members(inner, depth + 1));
            }
        }
        names
    }

    /// `struct cred`; empty where it has no name.
    pub(crate) fn tag(&self, id: u32) -> String {
        let name = self.name(id);
        if name.is_empty() {
            return name;
        }
        match self.kind(id) {
            sys::BTF_KIND_UNION => format!("union {name}"),
            sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64 => format!("enum {name}"),
            sys::BTF_KIND_STRUCT => format!("struct {name}"),
            _ => name,
        }
    }

    pub(crate) fn declared(&self, id: u32) -> Declared {
        let resolved = self.resolve(id).unwrap_or(0);
        let kind = match self.kind(resolved) {
            sys::BTF_KIND_INT => "integer",
            sys::BTF_KIND_PTR => "pointer",
            sys::BTF_KIND_ARRAY => "array",
            sys::BTF_KIND_STRUCT | sys::BTF_KIND_FWD => "struct",
            sys::BTF_KIND_UNION => "union",
            sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64 => "enum",
            sys::BTF_KIND_FLOAT => "float",
            _ => "function",
        };
        Declared {
            name: self.spelling(id, 0),
            kind: kind.to_owned(),
        }
    }

    /// A type as C writes it, qualifiers left out: `struct sock *`, `unsigned int[2]`, `u64`.
    fn spelling(&self, id: u32, depth: u32) -> String {
        let inner = |id: Option<u32>| match id {
            Some(id) if depth < DEEPEST => self.spelling(id, depth + 1),
            _ => "…".to_owned(),
        };
        match self.kind(id) {
            sys::BTF_KIND_UNKN => "void".to_owned(),
            sys::BTF_KIND_VOLATILE
            | sys::BTF_KIND_CONST
            | sys::BTF_KIND_RESTRICT
            | sys::BTF_KIND_TYPE_TAG => inner(self.referred(id)),
            sys::BTF_KIND_PTR => {
                let of = self.referred(id);
                // The functions that its arguments point to are not spelled: there is no end of them.
                let function = of.filter(|_| depth == 0).and_then(|of| self.parameters(of));
                if let Some((result, arguments)) = function {
                    let result = self.spelling(result, 1);
                    let gap = if result.ends_with('*') { "" } else { " " };
                    return format!("{result}{gap}(*)({})", self.arguments(&arguments, 1));
                }
                let of = inner(of);
                let gap = if of.ends_with('*') { "" } else { " " };
                format!("{of}{gap}*")
            }
            sys::BTF_KIND_ARRAY => match self.element(id) {
                Some((of, count)) => format!("{}[{count}]", inner(Some(of))),
                None => "…".to_owned(),
            },
            sys::BTF_KIND_FUNC_PROTO => "function".to_owned(),
            sys::BTF_KIND_FWD => format!("struct {}", self.name(id)),
            kind => match (self.tag(id), kind) {
                (tag, _) if !tag.is_empty() => tag,
                (_, sys::BTF_KIND_UNION) => "union { … }".to_owned(),
                (_, sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64) => "enum { … }".to_owned(),
                _ => "struct { … }".to_owned(),
            },
        }
    }
}
