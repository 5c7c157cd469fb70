//! Finds what the kernel has instead of a type or member that a CO-RE access did not find. It
//! follows the access that libbpf named through both BTFs, up to the first step at which they
//! differ.
#![expect(unsafe_code, reason = "libbpf's BTF reader is a C library")]

use std::ffi::CStr;
use std::marker::PhantomData;

use libbpf_sys as sys;
use ukci_schema::evidence::{CoreAccess, CoreFault, Declared, Log};

use crate::bpf::Object;
use crate::kernel::{Btf, Kernel};
use crate::nearest_names::nearest;

/// How deep types may nest.
const DEEPEST: u32 = 32;

/// What libbpf says in the verifier's log, in place of the instruction that it poisoned.
const FAILED: &str = "failed to resolve CO-RE relocation <";

/// Looks up every access that failed in these verifier logs, once.
pub(crate) fn ask<'a>(
    object: &Object,
    logs: impl Iterator<Item = &'a Log>,
    kernel: &Kernel,
) -> Vec<CoreAccess> {
    let accesses: Vec<Access<'_>> = logs.flat_map(Log::lines).filter_map(Access::read).collect();
    if accesses.is_empty() {
        return Vec::new();
    }
    let (Some(ours), Some(kernel)) = (object.btf(), kernel.btf()) else {
        return Vec::new();
    };
    let ours = Types {
        btf: ours,
        owner: PhantomData,
    };
    let theirs = Types {
        btf: kernel.as_ptr(),
        owner: PhantomData,
    };
    let mut found: Vec<CoreAccess> = Vec::new();
    for access in accesses {
        if found.iter().any(|known| known.spec == access.spec) {
            continue;
        }
        if let Some(fault) = part(&ours, &theirs, kernel, &access) {
            found.push(CoreAccess {
                spec: access.spec.to_owned(),
                fault,
            });
        }
    }
    found
}

/// `failed to resolve CO-RE relocation <byte_off> [5] struct a___old.b.c[2] (0:1:0:2 @ offset 8)`.
#[derive(Debug, PartialEq, Eq)]
struct Access<'a> {
    spec: &'a str,
    /// The type's number in the object's BTF.
    root: u32,
    /// `struct` or `union`.
    keyword: &'a str,
    /// Its name, without the flavor.
    name: &'a str,
    steps: Vec<Step<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Member(&'a str),
    Element(u32),
}

impl<'a> Access<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (_, rest) = line.split_once(FAILED)?;
        let (_, rest) = rest.split_once("> [")?;
        let (root, rest) = rest.split_once("] ")?;
        let spec = rest.split_once(" (").map_or(rest, |(spec, _)| spec).trim();
        let (keyword, path) = spec.split_once(' ')?;
        let end = path.find(['.', '[', ':']).unwrap_or(path.len());
        let (name, path) = path.split_at(end);
        let mut steps = Vec::new();
        for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
            steps.push(match part.strip_suffix(']') {
                Some(index) => Step::Element(index.parse().ok()?),
                None if part.starts_with(':') => return None,
                None => Step::Member(part),
            });
        }
        Some(Self {
            spec,
            root: root.parse().ok()?,
            keyword,
            name: name.split_once("___").map_or(name, |(name, _)| name),
            steps,
        })
    }
}

/// Whether a line tells of an access that failed.
#[cfg(feature = "fuzzing")]
pub(crate) fn is_access(line: &str) -> bool {
    Access::read(line).is_some()
}

/// The first step that the kernel's BTF does not allow.
fn part(
    ours: &Types<'_>,
    theirs: &Types<'_>,
    kernel: &Btf,
    access: &Access<'_>,
) -> Option<CoreFault> {
    let kind = match access.keyword {
        "struct" => sys::BTF_KIND_STRUCT,
        "union" => sys::BTF_KIND_UNION,
        _ => return None,
    };
    let Some(root) = kernel.find(access.name, kind) else {
        return Some(CoreFault::NoType {
            name: format!("{} {}", access.keyword, access.name),
        });
    };
    let (mut our, mut their) = (access.root, root);
    let mut last = access.name;
    for step in &access.steps {
        match step {
            Step::Member(member) => {
                last = member;
                let owner = theirs.resolve(their)?;
                let Some(found) = theirs.member(owner, member, 0) else {
                    let members = theirs.members(owner, 0);
                    let near = nearest(member, members.iter().map(String::as_str), |_| true);
                    return Some(CoreFault::NoMember {
                        owner: theirs.tag(owner),
                        member: (*member).to_owned(),
                        near: near.into_iter().map(str::to_owned).collect(),
                    });
                };
                let wanted = ours.member(ours.resolve(our)?, member, 0)?;
                if !alike(ours, wanted, theirs, found) {
                    return Some(CoreFault::OtherKind {
                        owner: theirs.tag(owner),
                        member: (*member).to_owned(),
                        kernel: theirs.declared(found),
                        object: ours.declared(wanted),
                    });
                }
                (our, their) = (wanted, found);
            }
            Step::Element(index) => {
                // The first number of an access may count whole structs behind the pointer.
                let (Some((ours, _)), Some((theirs, elements))) =
                    (ours.element(our), theirs.element(their))
                else {
                    continue;
                };
                if elements > 0 && *index >= elements {
                    return Some(CoreFault::TooFewElements {
                        member: last.to_owned(),
                        elements,
                        index: *index,
                    });
                }
                (our, their) = (ours, theirs);
            }
        }
    }
    None
}

/// As libbpf compares fields (`bpf_core_fields_are_compat`): by kind, an array by its elements.
fn alike(ours: &Types<'_>, our: u32, theirs: &Types<'_>, their: u32) -> bool {
    match (ours.element(our), theirs.element(their)) {
        (Some((our, _)), Some((their, _))) => return alike(ours, our, theirs, their),
        (None, None) => {}
        _ => return false,
    }
    let kind = |types: &Types<'_>, id| match types.resolve(id).map(|id| types.kind(id)) {
        Some(sys::BTF_KIND_UNION) => sys::BTF_KIND_STRUCT,
        Some(sys::BTF_KIND_ENUM64) => sys::BTF_KIND_ENUM,
        Some(kind) => kind,
        None => sys::BTF_KIND_UNKN,
    };
    kind(ours, our) == kind(theirs, their)
}

/// The types of one BTF.
struct Types<'a> {
    btf: *const sys::btf,
    owner: PhantomData<&'a ()>,
}

impl Types<'_> {
    fn record(&self, id: u32) -> Option<&sys::btf_type> {
        // SAFETY: the BTF outlives `self`; libbpf answers NULL for an id that there is not.
        unsafe { sys::btf__type_by_id(self.btf, id).as_ref() }
    }

    fn kind(&self, id: u32) -> u32 {
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
    fn resolve(&self, mut id: u32) -> Option<u32> {
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

    /// The type and number of an array's elements.
    fn element(&self, id: u32) -> Option<(u32, u32)> {
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
    fn member(&self, id: u32, name: &str, depth: u32) -> Option<u32> {
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
    fn members(&self, id: u32, depth: u32) -> Vec<String> {
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
    fn tag(&self, id: u32) -> String {
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

    fn declared(&self, id: u32) -> Declared {
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
                let of = inner(self.referred(id));
                let gap = if of.ends_with('*') { "" } else { " " };
                format!("{of}{gap}*")
            }
            sys::BTF_KIND_ARRAY => match self.element(id) {
                Some((of, count)) => format!("{}[{count}]", inner(Some(of))),
                None => "…".to_owned(),
            },
            sys::BTF_KIND_FUNC_PROTO => "function".to_owned(),
            kind => match (self.tag(id), kind) {
                (tag, _) if !tag.is_empty() => tag,
                (_, sys::BTF_KIND_UNION) => "union { … }".to_owned(),
                (_, sys::BTF_KIND_ENUM | sys::BTF_KIND_ENUM64) => "enum { … }".to_owned(),
                _ => "struct { … }".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Step};

    #[test]
    fn an_access_is_read_as_libbpf_prints_it() {
        let line = "failed to resolve CO-RE relocation <byte_off> [5] struct a___old.b.c[2] \
                    (0:1:0:2 @ offset 8)";
        let access = Access::read(line).unwrap();
        assert_eq!(access.spec, "struct a___old.b.c[2]");
        assert_eq!(
            (access.root, access.keyword, access.name),
            (5, "struct", "a")
        );
        assert_eq!(
            access.steps,
            [Step::Member("b"), Step::Member("c"), Step::Element(2)]
        );
        let enumerator = "failed to resolve CO-RE relocation <enumval_value> [9] enum x::Y = 3";
        assert_eq!(Access::read(enumerator), None);
        assert_eq!(Access::read("0: (b7) r0 = 0"), None);
    }
}
