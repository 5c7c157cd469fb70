//! CO-RE accesses: the kernel's BTF lacks what the program reads, or has it with another type.

use crate::case::Case;
use crate::finding::at_load;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{CoreFault, Declared, NewPlace};
use ukci_schema::plural::count;

/// Where libbpf did not get to say what is missing, its poison is left in the instruction's place:
/// a call of helper 195896080 (`0xbad2310`).
const POISON: &str = "invalid func unknown#195896080";

/// `failed to resolve CO-RE relocation <byte_off> [5] struct task_struct.shoe_size (0:0 @ offset 0)`.
pub(crate) fn relocation(case: &Case<'_>) -> Option<Diagnosis> {
    let Some(line) = case.verifier_line("failed to resolve CO-RE relocation") else {
        case.verifier_line(POISON)?;
        let headline = format!(
            "{} reads a type or field that the kernel's BTF does not have",
            case.name()
        );
        return Some(failure(
            headline,
            vec![
                "test `bpf_core_field_exists()` or `bpf_core_type_exists()` before the read"
                    .to_owned(),
            ],
        ));
    };
    let kind = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or("", |(kind, _)| kind);
    let spec = line.split_once("] ").map_or(line, |(_, rest)| rest);
    let spec = spec.split_once(" (").map_or(spec, |(spec, _)| spec).trim();
    let known = case.evidence.core.iter().find(|access| access.spec == spec);
    Some(match known {
        Some(access) => compared(case, spec, &access.fault),
        None => by_name(case, kind, spec),
    })
}

fn failure(headline: String, hints: Vec<String>) -> Diagnosis {
    let mut found = at_load(Code::CoreRelocationFailure, headline, &[]);
    found.hints = hints;
    found
}

/// What both BTFs say of the access.
fn compared(case: &Case<'_>, spec: &str, fault: &CoreFault) -> Diagnosis {
    let program = case.name();
    match fault {
        CoreFault::NoType { name, near } => {
            let mut hints = vec![format!(
                "test `bpf_core_type_exists({name})` before the read"
            )];
            if !near.is_empty() {
                hints.push(format!(
                    "declare {} as well, which took its place in this kernel, and read that where it exists",
                    crate::finding::list(near)
                ));
            }
            hints.push(
                "if a module defines it, load the module first: `modules = [\"…\"]` in the manifest, because \
                 ukci searches no module for a type"
                    .to_owned(),
            );
            failure(
                format!("the kernel's BTF has no `{name}`, which {program} reads"),
                hints,
            )
        }
        CoreFault::NoMember {
            owner,
            member,
            near,
            moved,
        } => {
            let of = owner_of(spec, owner, member);
            let headline = format!(
                "the kernel's BTF has no field `{member}` in {of}{}, which {program} reads",
                flavor(spec)
            );
            let mut hints =
                vec!["test `bpf_core_field_exists()` for it before the read".to_owned()];
            if let Some(place) = moved {
                hints.push(at_new_place(place, member));
            } else if !near.is_empty() {
                let several = near.len() > 1;
                hints.push(format!(
                    "look whether {} of this kernel's {of} {} the same: to read the field under both names, \
                     declare a second struct whose name ends in `___` and a word",
                    crate::finding::list(near),
                    if several { "are" } else { "is" },
                ));
            }
            failure(headline, hints)
        }
        CoreFault::OtherKind {
            owner,
            member,
            kernel,
            object,
        } => {
            let of = owner_of(spec, owner, member);
            failure(
                format!(
                    "the kernel's {of} has field `{member}` as {}, and {program} declares it as {}",
                    said(kernel),
                    said(object)
                ),
                vec![
                    format!(
                        "declare `{member}` as this kernel does; for kernels that differ, declare a \
                         second struct whose name ends in `___` and a word"
                    ),
                    format!(
                        "do not rely on `bpf_core_field_exists()` here: with this declaration it is 0 \
                         on every kernel that has {}",
                        article(&kernel.kind)
                    ),
                ],
            )
        }
        CoreFault::TooFewElements {
            member,
            elements,
            index,
        } => failure(
            format!(
                "the kernel's `{member}` has {}, and {program} reads element {index}",
                count(*elements, "element")
            ),
            vec![format!(
                "test `bpf_core_field_exists()` for the element before the read: the size of \
                 `{member}` depends on the kernel's configuration or release"
            )],
        ),
    }
}

/// How to read what a member held where this kernel has it.
fn at_new_place(place: &NewPlace, member: &str) -> String {
    let NewPlace { of, path, declared } = place;
    let of_type = said(declared);
    if declared.name == "struct maple_tree" {
        return format!(
            "this kernel has the memory areas in `{path}` ({of_type}) of `{of}`, which a program cannot walk by \
             itself: use `bpf_find_vma()` or a program of `iter/task_vma`"
        );
    }
    format!(
        "read `{path}` ({of_type}) of this kernel's `{of}` instead, which took its place; \
         `bpf_core_field_exists()` of `{member}` says which of the two a kernel has"
    )
}

/// What libbpf's line alone says.
fn by_name(case: &Case<'_>, kind: &str, spec: &str) -> Diagnosis {
    let spec = &without_flavor(spec);
    let (missing, hint) = if let Some((owner, value)) = spec.split_once("::") {
        let value = value.split(" = ").next().unwrap_or(value);
        (
            // The line does not say which of the two is missing.
            format!("no `{owner}` with a value `{value}`"),
            "test `bpf_core_enum_value_exists()` before its use",
        )
    } else if kind.starts_with("enumval") {
        (
            format!("no such value in `{spec}`"),
            "test `bpf_core_enum_value_exists()` before its use",
        )
    } else if let Some((owner, field)) = spec.split_once('.') {
        (
            format!("no field `{field}` as declared in `{owner}`"),
            "test `bpf_core_field_exists()` before the read",
        )
    } else {
        (
            format!("no type `{spec}`"),
            "test `bpf_core_type_exists()` before its use",
        )
    };
    failure(
        format!("the kernel's BTF has {missing}, which {} uses", case.name()),
        vec![hint.to_owned()],
    )
}

/// `struct inode.i_ctime` of `struct inode___before66.i_ctime`.
fn without_flavor(spec: &str) -> String {
    let end = spec.find(['.', '[', ':']).unwrap_or(spec.len());
    let (name, path) = spec.split_at(end);
    let name = name.split_once("___").map_or(name, |(name, _)| name);
    format!("{name}{path}")
}

/// What has the member: the struct by its name, or by the way to it where it has none.
fn owner_of(spec: &str, owner: &str, member: &str) -> String {
    if !owner.is_empty() {
        return format!("`{owner}`");
    }
    let spec = without_flavor(spec);
    let steps: Vec<&str> = spec.split('.').collect();
    let is_it = |step: &&str| step.split('[').next() == Some(member);
    let end = steps.iter().position(is_it).unwrap_or(steps.len());
    format!("`{}`", steps[..end].join("."))
}

/// ` (declared as inode___before66)`, where the object's name has a flavor.
fn flavor(spec: &str) -> String {
    let name = spec.split_once(' ').map_or(spec, |(_, name)| name);
    let end = name.find(['.', '[', ':']).unwrap_or(name.len());
    let name = &name[..end];
    if name.contains("___") {
        format!(" (the object's `{name}`)")
    } else {
        String::new()
    }
}

/// `` `kernel_cap_t` (a struct) ``; the kind only where the name does not say it.
fn said(declared: &Declared) -> String {
    let Declared { name, kind } = declared;
    let plain = name.starts_with(kind.as_str())
        || (kind == "pointer" && name.ends_with('*'))
        || (kind == "array" && name.ends_with(']'));
    if plain {
        format!("`{name}`")
    } else {
        format!("`{name}` ({})", article(kind))
    }
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

#[cfg(test)]
mod tests {
    use super::{article, flavor, owner_of, said, without_flavor};
    use ukci_schema::evidence::Declared;

    #[test]
    fn flavors_are_the_objects_own() {
        assert_eq!(
            without_flavor("struct inode___old.i_ctime.tv_sec"),
            "struct inode.i_ctime.tv_sec"
        );
        assert_eq!(
            without_flavor("struct inode.i_a___b"),
            "struct inode.i_a___b"
        );
        assert_eq!(
            flavor("struct inode___old.i_ctime"),
            " (the object's `inode___old`)"
        );
        assert_eq!(flavor("struct inode.i_a___b"), "");
        let spec = "struct cred.cap_effective.cap[0]";
        assert_eq!(owner_of(spec, "", "cap"), "`struct cred.cap_effective`");
        assert_eq!(owner_of(spec, "struct x", "cap"), "`struct x`");
    }

    #[test]
    fn a_type_is_named_with_its_kind_where_it_does_not_show() {
        let of = |name: &str, kind: &str| {
            said(&Declared {
                name: name.into(),
                kind: kind.into(),
            })
        };
        assert_eq!(of("kernel_cap_t", "struct"), "`kernel_cap_t` (a struct)");
        assert_eq!(of("u64", "integer"), "`u64` (an integer)");
        assert_eq!(of("struct sock *", "pointer"), "`struct sock *`");
        assert_eq!(of("enum x", "enum"), "`enum x`");
        assert_eq!(
            (article("union"), article("array")),
            ("a union".into(), "an array".into())
        );
    }
}
