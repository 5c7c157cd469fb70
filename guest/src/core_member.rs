//! Finds what the kernel has instead of a type or member that a CO-RE access did not find. It
//! follows the access that libbpf named through both BTFs, up to the first step at which they
//! differ.

use libbpf_sys as sys;
use ukci_schema::evidence::{CoreAccess, CoreFault, Log};

use crate::bpf::Object;
use crate::c_types::Types;
use crate::kernel::{Btf, Kernel};
use crate::member_moves::new_place;
use crate::nearest_names::{nearest, successors};

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
    let (Some(ours), Some(kernel)) = (Types::of_object(object), kernel.btf()) else {
        return Vec::new();
    };
    let theirs = Types::of_kernel(kernel);
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
            near: successors(access.name)
                .filter(|name| kernel.find(name, kind).is_some())
                .map(|name| format!("{} {name}", access.keyword))
                .collect(),
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
                    let tag = theirs.tag(owner);
                    let name = tag.strip_prefix("struct ").unwrap_or_default();
                    return Some(CoreFault::NoMember {
                        moved: new_place(name, member, theirs, kernel),
                        owner: tag,
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
