//! Program arrays: programs that the kernel does not accept in an array, or that cannot share one.

use crate::case::Whole;
use crate::errno::EINVAL;
use crate::finding::diagnosis;
use crate::said::Said;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{MapEvidence, ProgramEvidence, StepOutcome};
use ukci_schema::verdict::Stage;

/// A program that the kernel does not take into a slot of a program array: all programs of one array
/// are of one type, and agree in what they were loaded for.
pub(crate) fn slot(whole: &Whole<'_>) -> Option<Diagnosis> {
    let (map, program, errno) = whole.heard(|said| match *said {
        Said::ProgramSlot {
            map,
            program,
            errno,
        } => Some((map, program, errno)),
        _ => None,
    })?;
    let programs = &whole.evidence.programs;
    let seen = programs.iter().find(|seen| seen.name == program);
    let kind = seen.map_or("?", |seen| seen.program_type.as_str());
    // The first that calls through the array has decided what it is for.
    let first = programs
        .iter()
        .find(|one| one.autoload && one.maps.iter().any(|used| used == map));
    let why = first.zip(seen).and_then(|(first, seen)| {
        Some((&first.name, difference(first, seen, &whole.evidence.maps)?))
    });
    let (why, rule) = match why {
        Some((first, differs)) => (
            format!("`{first}` calls through the array, and {}", differs.what),
            Some(differs.rule.to_owned()),
        ),
        None => ("the array is for programs of another kind".to_owned(), None),
    };
    let mut hints = vec![
        "use a program array for each kind: all programs in one array, and those that call \
         through it, have the same type and expected attach type"
            .to_owned(),
    ];
    hints.extend(rule);
    let mut found = diagnosis(
        Code::MapRefused,
        Stage::Load,
        format!(
            "the kernel refused program `{program}` ({kind}) in program array `{map}`: {why} ({errno})"
        ),
        hints,
    );
    found.program = Some(program.to_owned());
    Some(found)
}

/// Programs that call through one array. The first of them to be loaded decides what the array is
/// for (`bpf_prog_map_compatible`), and the kernel refuses the next without a word. Alone, in a
/// copy, each of them is the first.
pub(crate) fn shared(whole: &Whole<'_>) -> Option<Diagnosis> {
    let evidence = whole.evidence;
    if evidence.load.errno != Some(EINVAL) {
        return None;
    }
    let refused = whole.heard(|said| match *said {
        Said::ProgramFailed {
            program,
            errno: "EINVAL",
        } => Some(program),
        _ => None,
    })?;
    let at = (evidence.programs.iter()).position(|one| one.name == refused)?;
    let (before, rest) = evidence.programs.split_at(at);
    let refused = rest
        .first()
        .filter(|one| one.load.outcome == StepOutcome::Ok)?;
    let mut arrays = evidence
        .maps
        .iter()
        .filter(|map| map.map_type == "prog_array" && refused.maps.contains(&map.name));
    let (array, first, differs) = arrays.find_map(|array| {
        let uses = |one: &&ProgramEvidence| one.autoload && one.maps.contains(&array.name);
        let first = before.iter().find(uses)?;
        Some((
            &array.name,
            first,
            difference(first, refused, &evidence.maps)?,
        ))
    })?;
    let mut found = diagnosis(
        Code::MapRefused,
        Stage::Load,
        format!(
            "the kernel refused `{}` because it calls through program array `{array}`, which `{}` \
             uses first: {} (EINVAL)",
            refused.name, first.name, differs.what
        ),
        vec![
            format!(
                "use a program array of its own for each: one for `{}`, one for `{}`",
                first.name, refused.name
            ),
            differs.rule.into(),
        ],
    );
    found.program = Some(refused.name.clone());
    Some(found)
}

/// In what two programs differ that share an array, and the kernel's rule.
struct Difference {
    what: String,
    rule: &'static str,
}

fn difference(
    first: &ProgramEvidence,
    second: &ProgramEvidence,
    maps: &[MapEvidence],
) -> Option<Difference> {
    let (kind, other) = (&first.program_type, &second.program_type);
    let frags =
        |one: &ProgramEvidence| one.section.trim_start_matches('?').starts_with("xdp.frags");
    let both = |what: &str, a: &str, b: &str| format!("their {what} differ (`{a}`, `{b}`)");
    if kind != other {
        return Some(Difference {
            what: both("program types", kind, other),
            rule: "give all programs that call through one array the same type",
        });
    }
    if frags(first) != frags(second) {
        return Some(Difference {
            what: "only one of them is `xdp.frags`".into(),
            rule: "all XDP programs that call through an array support fragments, or none does \
                   (5.18)",
        });
    }
    if let (Some(a), Some(b)) = (&first.attach_type, &second.attach_type)
        && a != b
    {
        return Some(Difference {
            what: both("attach types", a, b),
            rule: "newer kernels, and stable ones with the fix, want one expected attach type of all \
                   programs that call through an array",
        });
    }
    let hooked = matches!(kind.as_str(), "lsm" | "tracing" | "ext" | "struct_ops");
    if let (Some(a), Some(b)) = (&first.target, &second.target)
        && hooked
        && a != b
    {
        return Some(Difference {
            what: both("hooks", a, b),
            rule: "since the fix of CVE-2024-50063, which stable kernels have too, all programs that call \
                   through an array are for hooks with one prototype",
        });
    }
    if sleeps(first) != sleeps(second) {
        return Some(Difference {
            what: "only one of them may sleep".into(),
            rule: "newer kernels want all programs that call through an array to be sleepable (`.s` in their \
                   sections), or none of them",
        });
    }
    let storages = |one: &ProgramEvidence| -> Vec<String> {
        let is_storage = |name: &&String| {
            let of_name = maps.iter().find(|map| map.name == **name);
            of_name.is_some_and(|map| map.map_type.ends_with("cgroup_storage"))
        };
        let mut names: Vec<String> = one.maps.iter().filter(is_storage).cloned().collect();
        names.sort();
        names
    };
    let used = storages(second);
    (!used.is_empty() && used != storages(first)).then(|| Difference {
        what: format!(
            "`{}` uses cgroup storage (`{}`) that the other does not",
            second.name,
            used.join("`, `")
        ),
        rule: "newer kernels, and stable ones with the fix of CVE-2025-38502, want all programs that call \
               through an array to use the same cgroup storage",
    })
}

/// Whether the section says that the program may sleep: `lsm.s/file_open`.
fn sleeps(program: &ProgramEvidence) -> bool {
    let kind = program.section.split('/').next().unwrap_or_default();
    kind.split('.').skip(1).any(|mark| mark == "s")
}
