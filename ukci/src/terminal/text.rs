//! Formats what is printed when a cell ends and when the run ends.

use ukci_harness::render::{self, Shown, harmless};
use ukci_schema::command::Ended;
use ukci_schema::evidence::AttachOutcome;
use ukci_schema::plural::first_of;
use ukci_schema::report::{CellReport, CommandReport, Report, TestOutcome};
use ukci_schema::verdict::Outcome;

use super::causes::{self, RULE};
use super::wrap::hanging;
use crate::output::{HINT, Output, WARN, label};
use crate::text::{self, Side, Text, text};
use crate::{diagnostic, grid};

/// The line of a cell that ended.
pub(crate) fn cell_line(
    report: &CellReport,
    id: &Text,
    kept: bool,
    done: usize,
    total: usize,
    width: usize,
) -> Text {
    let digits = total.to_string().len();
    let what = match report.outcome {
        Outcome::Pass => attached(report),
        Outcome::Xpass => "passed, but was expected to fail".into(),
        Outcome::Skip => harmless(report.reason.as_deref().unwrap_or_default()).into(),
        Outcome::Fail | Outcome::Xfail | Outcome::Error => {
            let code = report
                .diagnosis
                .as_ref()
                .map(|diagnosis| diagnosis.code.name());
            let fault = report.fault.as_ref();
            let code = code.or_else(|| Some(fault?.code?.name()));
            let what = code
                .map(Text::from)
                .or_else(|| Some(harmless(&fault?.headline).into()));
            text!("{:<7}  {}", report.stage, what.unwrap_or_default())
        }
    };
    let word = if render::needs_loader(report) {
        label(WARN, "LOADER")
    } else {
        diagnostic::word(report.outcome)
    };
    // The seconds of an earlier run are not this one's.
    let time = if kept || report.cached.is_some() {
        text!("{:>9}", if kept { "kept" } else { "cached" })
    } else {
        text!("{:>8.3}s", report.seconds)
    };
    text!(
        "{} [{}] ({}/{}) {}  {}",
        word,
        time,
        text!("{}", done).aligned(Side::Right, digits),
        total,
        id.aligned(Side::Left, width),
        what
    )
}

/// How many cells `--resume` kept; nothing if none.
pub(crate) fn kept_line(kept: usize) -> Text {
    if kept == 0 {
        return Text::default();
    }
    let verdicts = text::count(kept, "verdict");
    text!(
        "        Kept {} of an earlier run, whose inputs have not changed\n",
        verdicts
    )
}

/// How many cells were not booted because their evidence was in the cache; nothing if none.
pub(crate) fn cached_line(cached: usize) -> Text {
    if cached == 0 {
        return Text::default();
    }
    text!(
        "      Cached {} from evidence of earlier runs (`--no-cache` boots every cell)\n",
        text::count(cached, "verdict")
    )
}

/// What a pass did: `2 attached, 1 not attempted`.
fn attached(report: &CellReport) -> Text {
    if let Some(command) = &report.command {
        return ended(command);
    }
    let count = |outcome| {
        report
            .programs
            .iter()
            .filter(|p| p.attach == outcome)
            .count()
    };
    let attached = count(AttachOutcome::Attached);
    let loaded = report
        .programs
        .iter()
        .filter(|p| p.load == ukci_schema::evidence::StepOutcome::Ok)
        .count();
    let not = report
        .programs
        .iter()
        .filter(|program| program.is_untried())
        .count();
    let mut text =
        if report.stage == ukci_schema::verdict::Stage::Load || report.programs.is_empty() {
            text!("{} loaded", loaded)
        } else {
            text!("{} attached", attached)
        };
    if not > 0 {
        text.push(&text!(", {} not attempted", not));
    }
    let silent = (report.programs.iter())
        .filter(|program| program.never_fired())
        .count();
    if silent > 0 {
        text.push(&text!(", {} never fired", silent));
    }
    let passed = (report.tests.iter())
        .filter(|test| test.outcome == TestOutcome::Pass)
        .count();
    if passed > 0 {
        text.push(&text!(", {} passed", text::count(passed, "test")));
    }
    let refused = count(AttachOutcome::Refused);
    if refused > 0 {
        text.push(&text!(", {} refused and not required", refused));
    }
    if !report.edits.is_empty() {
        text.push(&text!(
            ", after {}",
            text::count(report.edits.len(), "edit")
        ));
    }
    text
}

/// What a command that passed did: `exit status 0, 2 files came back`.
fn ended(command: &CommandReport) -> Text {
    let mut text = match &command.ended {
        Ended::Exited { status } => text!("exit status {}", *status),
        _ => Text::default(),
    };
    match command.out.len() {
        0 => {}
        1 => text.push(&", 1 file came back".into()),
        many => text.push(&text!(", {} files came back", many)),
    }
    text
}

/// Columns before the counts of a run: the word, and the seconds.
const SUMMARY: usize = 25;
/// Most notes of cells that ended as expected.
const NOTES: usize = 10;
/// Most lines about programs that were not attempted.
const UNTRIED: usize = 20;
/// Most of these programs that a line names.
const UNTRIED_NAMES: usize = 3;

/// What is said at the end: causes, the grid, the summary.
pub(crate) fn ending(report: &Shown<Report>, out: &str, output: Output) -> Text {
    let out = &harmless(out);
    let chatty = output.chatty;
    let mut text = Text::default();
    let causes = render::causes(report);
    text.push(&causes::text(report, out, &causes, output.width));
    let untried: Vec<String> = not_attempted(report);
    if !untried.is_empty() && chatty {
        text.push(&text!("{}\n{} programs\n", RULE, label(WARN, "NOT TRIED")));
        for line in untried.iter().take(UNTRIED) {
            text.push(&hanging(13, line, 2, output.width));
        }
        if untried.len() > UNTRIED {
            text.push(&text!("{:13}and {} more\n", "", untried.len() - UNTRIED));
        }
    }
    if chatty {
        text.push(&noted(report, out, output.width));
    }
    if !report.cells.is_empty() && (report.cells.len() > 1 || !causes.is_empty()) && chatty {
        text.push_line(&RULE.into());
        text.push(&grid::text(report, output.width));
        let top = causes::top(&causes, output.width);
        if !top.is_empty() {
            text.push(&text!("\n{}", top));
        }
        text.push(&"\n".into());
    }
    let style = if causes.is_empty() {
        crate::output::GOOD
    } else {
        crate::output::BAD
    };
    let counts = hanging(SUMMARY, &render::summary(report), 0, output.width);
    text.push(&text!(
        "{} [{:>8.3}s] {}",
        label(style, "Summary"),
        report.run.seconds,
        counts.without_indent()
    ));
    if report.run.interrupted && report.summary.not_run > 0 {
        let why = match report.run.shard {
            // Cells of other shards are not planned for a shard alone.
            Some(_) => "shards are missing or were cut short",
            None => "the run was cut short",
        };
        text.push(&text!(
            "{:13}{}; the report has the cells that finished\n",
            "",
            why
        ));
    }
    text
}

/// What cells noted that ended as expected. The others' notes stand below their causes.
fn noted(report: &Report, out: &Shown<String>, width: usize) -> Text {
    let notes = render::notes_elsewhere(report);
    if notes.is_empty() {
        return Text::default();
    }
    let word = label(HINT, "NOTED");
    let mut text = text!("{}\n{} of cells that ended as expected\n", RULE, word);
    let axes = render::Axes::of(report);
    for (note, cells) in notes.iter().take(NOTES) {
        let line = format!("{}: {note}", axes.places(cells));
        text.push(&hanging(13, &line, 2, width));
    }
    if notes.len() > NOTES {
        let rest = notes.len() - NOTES;
        text.push(&text!(
            "{:13}and {} more, in {}/report.json\n",
            "",
            rest,
            out
        ));
    }
    text
}

/// The files that were written, the report first.
pub(crate) fn whereabouts(files: &[String]) -> Text {
    let mut text = Text::default();
    for (n, file) in files.iter().enumerate() {
        let word = if n == 0 { "Report" } else { "" };
        text.push(&text!("{} {}\n", label(HINT, word), harmless(file)));
    }
    text
}

/// Programs that were not attempted: those of an object that share a reason are one line.
fn not_attempted(report: &Report) -> Vec<String> {
    // The objects and reasons are in the order of the report.
    let mut reasons: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    for cell in &report.cells {
        for program in &cell.programs {
            let Some(reason) = program.reason.as_deref() else {
                continue;
            };
            if !program.is_untried() || cell.outcome == Outcome::Skip {
                continue;
            }
            let key = (cell.artifact.as_str(), reason);
            let place = reasons.iter().position(|(of, _)| *of == key);
            let place = place.unwrap_or_else(|| {
                reasons.push((key, Vec::new()));
                reasons.len() - 1
            });
            let programs = &mut reasons[place].1;
            if !programs.contains(&program.name.as_str()) {
                programs.push(&program.name);
            }
        }
    }
    let line = |((artifact, reason), programs): ((&str, &str), Vec<&str>)| {
        let names = programs.iter().map(|name| format!("`{name}`"));
        format!("{artifact}: {}: {reason}", first_of(names, UNTRIED_NAMES))
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
