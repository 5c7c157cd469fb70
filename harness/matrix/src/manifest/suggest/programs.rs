//! Suggests groups of programs from which a loader picks one, and programs whose target it sets.

use std::collections::{BTreeMap, BTreeSet};

use super::stem::{Hook, generation_stem, stem};
use super::{Choice, quoted};
use crate::manifest::ObjectFacts;
use ukci_schema::diagnosis::Code;
use ukci_schema::history::helper_name;
use ukci_schema::report::CellReport;

/// A function that every kernel has, that can be probed, and that runs often.
const ANY_FUNCTION: &str = "vfs_read";

/// The choices, and the programs that they decide about.
pub(super) fn choices(
    object: &ObjectFacts,
    cells: &[&CellReport],
) -> (Vec<Choice>, BTreeSet<String>) {
    let mut choices = Vec::new();
    let mut decided = BTreeSet::new();
    for group in pairs(object) {
        choices.push(doubted(pair(object, &group), &group, cells));
        decided.extend(group.iter().map(|name| (*name).to_owned()));
    }
    for (new, old, helper) in generations(object) {
        if decided.contains(new) || decided.contains(old) {
            continue;
        }
        choices.push(generation(new, old, helper));
        decided.extend([new.to_owned(), old.to_owned()]);
    }
    for (name, program) in &object.names.programs {
        let hook = Hook::of(&program.section);
        if hook.is_placeholder() {
            let in_group = decided.contains(name);
            choices.extend(placeholder(name, hook, in_group));
            decided.insert(name.clone());
        }
    }
    (choices, decided)
}

/// What a program does: the stem of its name, whether it waits for a return, and its target.
type Deed<'o> = (String, bool, &'o str);

/// Programs that do the same by different ways of attaching, best first.
fn pairs(object: &ObjectFacts) -> Vec<Vec<&str>> {
    let mut alike: BTreeMap<Deed<'_>, Vec<(u8, &str)>> = BTreeMap::new();
    for (name, program) in &object.names.programs {
        let hook = Hook::of(&program.section);
        let Some(rank) = hook.rank().filter(|_| !hook.target.is_empty()) else {
            continue;
        };
        // All placeholders are one target.
        let target = if hook.is_placeholder() {
            ""
        } else {
            hook.target
        };
        // A tracepoint is named with its subsystem in some sections only.
        let target = target.rsplit('/').next().unwrap_or(target);
        let key = (stem(name), hook.is_return(), target);
        alike.entry(key).or_default().push((rank, name));
    }
    let mut groups = Vec::new();
    for mut programs in alike.into_values() {
        programs.sort_unstable();
        let ranks: BTreeSet<u8> = programs.iter().map(|(rank, _)| *rank).collect();
        // Two of one way are not alternatives.
        if programs.len() > 1 && ranks.len() == programs.len() {
            groups.push(programs.into_iter().map(|(_, name)| name).collect());
        }
    }
    groups
}

fn pair(object: &ObjectFacts, group: &[&str]) -> Choice {
    let kind = |name: &str| {
        Hook::of(&object.names.programs[name].section)
            .kind
            .to_owned()
    };
    let list: Vec<String> = group
        .iter()
        .map(|name| format!("`{name}` ({})", kind(name)))
        .collect();
    let reason = format!(
        "{} do the same: the loader uses the first that the kernel takes.",
        list.join(" and ")
    );
    let fallback = group.len() - 1;
    let programs = group.iter().enumerate().map(|(n, name)| {
        let probe = if n < fallback {
            ", probe = \"trial_load\""
        } else {
            ""
        };
        format!("  {{ name = {}{probe} }},\n", quoted(name))
    });
    let toml = format!(
        "[[program_variants]]\ngroup = {}\nprograms = [\n{}]\n",
        quoted(group[0]),
        programs.collect::<String>()
    );
    Choice::new(format!("pick one of {}", names(group)), reason, toml)
}

/// The same choice, as a comment, where a kernel of the report has all that the best program is attached to,
/// and refuses what the program does: a loader that only asks whether it could attach such a program would
/// take it, and fail.
fn doubted(choice: Choice, group: &[&str], cells: &[&CellReport]) -> Choice {
    let Some((best, others)) = group.split_first() else {
        return choice;
    };
    let refused = cells.iter().find_map(|cell| {
        let program = cell.programs.iter().find(|program| program.name == *best)?;
        let diagnosis = program.diagnosis.as_ref()?;
        let for_itself = matches!(
            diagnosis.code,
            Code::VerifierRejection | Code::CoreRelocationFailure
        );
        for_itself.then_some((&cell.kernel, diagnosis))
    });
    let Some((kernel, diagnosis)) = refused else {
        return choice;
    };
    let reason = format!(
        "{} On {kernel} the kernel refuses `{best}` for what it does ({}: {}). A loader that asks only \
         whether such a program can be attached takes it, and fails there. If the loader tries the \
         program itself, and then takes {}:",
        choice.reason,
        diagnosis.code,
        diagnosis.headline,
        names(others)
    );
    Choice { reason, ..choice }.uncertain()
}

/// Two programs of one section of which one calls a helper that the other avoids.
fn generations(object: &ObjectFacts) -> Vec<(&str, &str, u32)> {
    let mut alike: BTreeMap<(String, &str), Vec<&str>> = BTreeMap::new();
    for (name, program) in &object.names.programs {
        let key = (generation_stem(name), program.section.as_str());
        alike.entry(key).or_default().push(name);
    }
    let none = BTreeSet::new();
    let helpers = |name: &str| object.helpers.get(name).unwrap_or(&none);
    let mut found = Vec::new();
    for programs in alike.into_values() {
        let [one, other] = programs[..] else { continue };
        let only = |a: &str, b: &str| helpers(a).difference(helpers(b)).max().copied();
        match (only(one, other), only(other, one)) {
            (Some(helper), None) => found.push((one, other, helper)),
            (None, Some(helper)) => found.push((other, one, helper)),
            // The higher number came later.
            (Some(a), Some(b)) if a > b => found.push((one, other, a)),
            (Some(_), Some(b)) => found.push((other, one, b)),
            (None, None) => {}
        }
    }
    found
}

fn generation(new: &str, old: &str, helper: u32) -> Choice {
    let helper = helper_name(helper).map_or_else(|| helper.to_string(), str::to_owned);
    let reason = format!(
        "`{new}` calls `{helper}`, and `{old}` of the same section does not: the loader uses \
         `{new}` on kernels that have the helper."
    );
    let toml = format!(
        "[[program_variants]]\ngroup = {}\nprograms = [\n  {{ name = {}, requires_helper = {} }},\n  {{ name = {} }},\n]\n",
        quoted(new),
        quoted(new),
        quoted(&helper),
        quoted(old)
    );
    Choice::new(format!("pick `{new}` or `{old}`"), reason, toml)
}

/// A program whose section names no real target.
fn placeholder(name: &str, hook: Hook<'_>, in_group: bool) -> Option<Choice> {
    let target = hook.target;
    let toml = |symbol: &str| {
        format!(
            "[[programs]]\nname = {}\nattach = {{ kind = \"{}\", symbol = \"{symbol}\" }}\n",
            quoted(name),
            hook.kind
        )
    };
    match hook.kind {
        "kprobe" | "kretprobe" => {
            let what = format!("set the target of `{name}`");
            let reason = format!(
                "`{target}` is not a kernel function: the loader sets the target of `{name}`. \
                 `{ANY_FUNCTION}`, which every kernel has, replaces it here."
            );
            Some(Choice::new(what, reason, toml(ANY_FUNCTION)))
        }
        "fentry" | "fexit" | "fmod_ret" => {
            let what = format!("set the target of `{name}`");
            let meanwhile = if in_group {
                " Until then its group uses another program."
            } else {
                ""
            };
            let reason = format!(
                "`{target}` is not a kernel function: the loader sets the target of `{name}`. \
                 The verifier checks the program against the arguments of the real function, so \
                 that only a function of the loader's will do.{meanwhile}"
            );
            Some(Choice::new(what, reason, toml("FUNCTION")).uncertain())
        }
        _ => None,
    }
}

/// Names as a sentence lists them.
fn names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
