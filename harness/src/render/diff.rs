//! What changed between two reports.

use crate::report::compare::{Diff, Growth};
use ukci_schema::diagnosis::Code;
use ukci_schema::plural::count;
use ukci_schema::verdict::Outcome;

use super::Shown;
use super::table::{Side, Table, grouped};

/// The difference for people; an empty one says so.
pub fn diff(diff: &Shown<Diff>) -> Shown<String> {
    let mut text = String::new();
    for (title, table) in tables(diff) {
        text.push_str(&format!("{title}\n{}\n", table.text()));
    }
    text.push_str(&format!("  {}\n", summary(diff)));
    Shown::rendered(text)
}

/// The difference as Markdown.
pub fn diff_markdown(diff: &Shown<Diff>) -> Shown<String> {
    let mut text = format!("## ukci: {}\n", summary(diff));
    for (title, table) in tables(diff) {
        text.push_str(&format!("\n### {title}\n\n{}", table.markdown()));
    }
    Shown::rendered(text)
}

fn tables(diff: &Diff) -> Vec<(&'static str, Table)> {
    let mut cells = Table::new(&[
        ("", Side::Left),
        ("cell", Side::Left),
        ("before", Side::Left),
        ("now", Side::Left),
    ]);
    for change in &diff.changed {
        let word = if change.worse {
            "worse"
        } else if change.after.is_met() && !change.before.is_met() {
            "better"
        } else {
            "changed"
        };
        cells.push(vec![
            word.into(),
            marked(&change.id, change.required),
            ended(change.before, change.code_before),
            ended(change.after, change.code_after),
        ]);
    }
    for added in &diff.added {
        cells.push(vec![
            "new".into(),
            marked(&added.id, added.required),
            "-".into(),
            ended(added.outcome, added.code),
        ]);
    }
    for id in &diff.removed {
        cells.push(vec!["gone".into(), id.clone(), String::new(), "-".into()]);
    }
    let mut verifier = Table::new(&[
        ("growth", Side::Right),
        ("insns before", Side::Right),
        ("now", Side::Right),
        ("program", Side::Left),
        ("cell", Side::Left),
    ]);
    for growth in &diff.verifier {
        verifier.push(vec![
            percent(growth),
            grouped(growth.before),
            grouped(growth.after),
            growth.program.clone(),
            growth.id.clone(),
        ]);
    }
    let mut stages = Table::new(&[
        ("growth", Side::Right),
        ("CPU s per cell before", Side::Right),
        ("now", Side::Right),
        ("stage", Side::Left),
        ("cells", Side::Right),
    ]);
    for change in &diff.stages {
        stages.push(vec![
            format!("{:+.1} %", change.percent()),
            format!("{:.2}", change.before),
            format!("{:.2}", change.after),
            change.stage.to_string(),
            change.cells.to_string(),
        ]);
    }
    let tables = [("Cells", cells), ("Verifier", verifier), ("Time", stages)];
    let tables = tables.into_iter().filter(|(_, table)| !table.is_empty());
    tables.collect()
}

fn marked(id: &str, required: bool) -> String {
    if required {
        id.to_owned()
    } else {
        format!("{id} (not required)")
    }
}

fn ended(outcome: Outcome, code: Option<Code>) -> String {
    match code {
        Some(code) => format!("{outcome} {code}"),
        None => outcome.to_string(),
    }
}

fn percent(growth: &Growth) -> String {
    format!("{:+.1} %", growth.percent())
}

/// `3 cells changed, 1 of them worse; 2 new; 1 gone; 4 programs grew, 1 shrank`.
fn summary(diff: &Diff) -> String {
    let mut parts = Vec::new();
    let cells = |n: usize| count(n, "cell");
    if !diff.changed.is_empty() {
        let worse = diff.changed.iter().filter(|change| change.worse).count();
        let changed = cells(diff.changed.len());
        parts.push(match worse {
            0 => format!("{changed} changed"),
            worse => format!("{changed} changed, {worse} of them worse"),
        });
    }
    if !diff.added.is_empty() {
        parts.push(format!("{} new", cells(diff.added.len())));
    }
    if !diff.removed.is_empty() {
        parts.push(format!("{} gone", cells(diff.removed.len())));
    }
    let grew = diff.verifier.iter().filter(|g| g.after > g.before).count();
    let shrank = diff.verifier.len() - grew;
    for (count, word) in [(grew, "grew"), (shrank, "shrank")] {
        match count {
            0 => {}
            1 => parts.push(format!("1 program {word}")),
            n => parts.push(format!("{n} programs {word}")),
        }
    }
    for (word, slower) in [("slower", true), ("faster", false)] {
        let stages = diff.stages.iter();
        let count = stages.filter(|s| (s.after > s.before) == slower).count();
        match count {
            0 => {}
            1 => parts.push(format!("1 stage is {word}")),
            n => parts.push(format!("{n} stages are {word}")),
        }
    }
    if parts.is_empty() {
        "nothing changed".into()
    } else {
        parts.join("; ")
    }
}
