//! Suggests what to do about programs that the kernels of a report refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, quoted};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::Stage;

/// What became of one program in a run.
#[derive(Default)]
struct Record<'c> {
    refused: Vec<(&'c str, &'c Diagnosis)>,
    asked: usize,
}

/// Choices about programs that others have not `decided` about.
pub(super) fn choices(cells: &[&CellReport], decided: &BTreeSet<String>) -> Vec<Choice> {
    let mut programs: BTreeMap<&str, Record<'_>> = BTreeMap::new();
    for cell in cells {
        for program in &cell.programs {
            let record = programs.entry(&program.name).or_default();
            record.asked += 1;
            if let Some(diagnosis) = &program.diagnosis {
                record.refused.push((&cell.kernel, diagnosis));
            }
        }
    }
    let left = programs
        .into_iter()
        .filter(|(name, _)| !decided.contains(*name));
    left.filter_map(|(name, record)| choice(name, &record))
        .collect()
}

fn choice(name: &str, record: &Record<'_>) -> Option<Choice> {
    let (_, first) = record.refused.first()?;
    let everywhere = record.refused.len() == record.asked;
    let same = record
        .refused
        .iter()
        .all(|(_, diagnosis)| diagnosis.code == first.code);
    let missing = same && first.code == Code::AttachTargetMissing;
    let headline = &first.headline;
    let (key, does) = if first.stage == Stage::Attach {
        ("attach = { required = false }", "works without it")
    } else {
        ("autoload = false", "leaves it off")
    };
    let toml = format!("[[programs]]\nname = {}\n{key}\n", quoted(name));
    if missing && everywhere {
        let what = format!("leave `{name}` out");
        let reason = format!(
            "No kernel of the report has the target of `{name}` ({headline}): a loader that runs \
             there {does}."
        );
        return Some(Choice::new(what, reason, toml));
    }
    if missing {
        let mut kernels: Vec<&str> = record.refused.iter().map(|(kernel, _)| *kernel).collect();
        kernels.dedup();
        let what = format!("say whether `{name}` may be left out");
        let reason = format!(
            "The target of `{name}` is missing on {} ({headline}). If the loader {does} there:",
            kernels.join(", ")
        );
        let toml = if first.stage == Stage::Attach {
            toml
        } else {
            let quoted = quoted(name);
            format!(
                "[[program_variants]]\ngroup = {quoted}\nprograms = [{{ name = {quoted}, probe = \"trial_load\" }}]\n"
            )
        };
        return Some(Choice::new(what, reason, toml).uncertain());
    }
    // A kernel would refuse it from its own loader just so.
    everywhere.then(|| {
        let what = format!("look at `{name}`, which every kernel refused");
        let reason = format!(
            "Every kernel of the report refused `{name}`, first with {}: {headline}. A manifest \
             cannot fix that, unless the loader leaves the program off.",
            first.code
        );
        Choice::new(
            what,
            reason,
            format!("[[programs]]\nname = {}\nautoload = false\n", quoted(name)),
        )
        .uncertain()
    })
}
