//! `ukci bisect`: find the first version of a kernel on which something changed.

mod commits;
mod config_change;
mod ending;

use std::collections::BTreeMap;
use std::path::Path;

use ukci_harness::bisection::{Answer, Bisection, Criterion};
use ukci_harness::render::{self, harmless};
use ukci_harness::version_outcome::VersionOutcome;
use ukci_schema::lock::LockedKernel;
use ukci_schema::report::Report;

use crate::args::bisect::Bisect;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::out_dir::OutDir;
use crate::output::{BAD, GOOD, Output, UNKNOWN, label};
use crate::settings::Settings;
use crate::text::{Text, text};
use crate::{atomic_file, cells, commands, lock_file, versions};

/// Runs the command.
pub(crate) fn run(mut bisect: Bisect, output: Output) -> Result<Exit, Failure> {
    let lock = lock_file::lock()?;
    let mut found = versions::find(&bisect.stream, &bisect.run, &lock, output)?;
    let wrong = |error| versions::wrong(&error);
    let good = found.place(&bisect.good).map_err(wrong)?;
    let bad = found.place(&bisect.bad).map_err(wrong)?;
    if good == bad {
        let message = format!("`{}` is both the good and the bad version", bisect.good);
        return Err(Failure::says(Exit::Usage, &message, None));
    }
    found.between(&bisect.good, &bisect.bad).map_err(wrong)?;
    // The row always leads from good to bad.
    let is_backward = bad < good;
    if is_backward {
        found.pins.reverse();
    }
    let mut settings = Settings::of_versions(bisect.artifact.as_deref(), &bisect.run, Vec::new());
    if !bisect.command.is_empty() {
        let words = std::mem::take(&mut bisect.command);
        settings.command_line = words
            .iter()
            .map(|w| w.to_string_lossy().into_owned())
            .collect();
        let draft = commands::draft(words, bisect.program.clone());
        settings.command = Some(commands::plan(draft, &mut settings.selection, output)?);
    }
    let _taken = OutDir::take(&settings.out, &settings.formats)?;
    let mut search = Search {
        pins: found.pins,
        is_backward,
        criterion: bisect.on,
        settings,
        output,
        outcomes: BTreeMap::new(),
        reports: Vec::new(),
    };
    let row = search.run();
    versions::write_report(
        std::mem::take(&mut search.reports),
        &search.settings,
        output,
    )?;
    let Some(row) = row? else {
        return Ok(Exit::Interrupted);
    };
    ending::show(&bisect, &search, &row)?;
    Ok(Exit::Met)
}

/// A search, and what it has seen.
struct Search<'a> {
    /// From the good version to the bad one.
    pins: Vec<&'a LockedKernel>,
    /// Whether the good version is the newer one.
    is_backward: bool,
    criterion: Criterion,
    settings: Settings,
    output: Output,
    /// By place.
    outcomes: BTreeMap<usize, VersionOutcome>,
    reports: Vec<Report>,
}

impl Search<'_> {
    /// Asks both ends and then what is between them. None if it was interrupted.
    fn run(&mut self) -> Result<Option<Bisection>, Failure> {
        let last = self.pins.len() - 1;
        let mut row = Bisection::new(last);
        let steps = row.steps_left() + 2;
        for (place, name) in [(0, "good"), (last, "bad")] {
            if !self.ask(place)? {
                return Ok(None);
            }
            let outcome = &self.outcomes[&place];
            if !outcome.is_known() {
                return Err(self.no_answer(place, name));
            }
            if name == "good" {
                self.say(place, 1, steps, Answer::Good);
            }
        }
        let answer = self
            .criterion
            .answer(&self.outcomes[&0], &self.outcomes[&last]);
        self.say(last, 2, steps, answer);
        if answer != Answer::Bad {
            return Err(self.no_difference(last, answer));
        }
        let mut step = 2;
        while let Some(place) = row.next() {
            step += 1;
            let steps = step - 1 + row.steps_left();
            if !self.ask(place)? {
                return Ok(None);
            }
            let answer = self
                .criterion
                .answer(&self.outcomes[&0], &self.outcomes[&place]);
            self.say(place, step, steps, answer);
            row.tell(place, answer);
        }
        Ok(Some(row))
    }

    /// Runs the version at a place. False if a signal ended that.
    fn ask(&mut self, place: usize) -> Result<bool, Failure> {
        let name = self.pins[place].versioned_name();
        self.settings.selection.kernels = vec![name.clone()];
        let report = cells::run_quietly(&self.settings, self.output, |_| {})?;
        let Some(report) = report else {
            return Ok(false);
        };
        let cell = report.cells.iter().find(|cell| cell.kernel == name);
        let outcome = cell.map(|cell| VersionOutcome::of(cell, &self.settings.out));
        let answered = outcome.is_some() && !report.run.interrupted;
        if let Some(outcome) = outcome {
            self.outcomes.insert(place, outcome);
        }
        self.reports.push(report);
        Ok(answered)
    }

    /// One line for a step.
    fn say(&self, place: usize, step: u32, steps: u32, answer: Answer) {
        if !self.output.chatty {
            return;
        }
        let outcome = &self.outcomes[&place];
        let word = match answer {
            Answer::Good => label(GOOD, "Good"),
            Answer::Bad => label(BAD, "Bad"),
            Answer::None => label(UNKNOWN, "Skipped"),
        };
        let mut line = text!(
            "{} {}/{}  {}  {}  {}  {}",
            word,
            step,
            steps,
            harmless(&outcome.kernel),
            harmless(outcome.built.as_deref().unwrap_or("-")),
            versions::verdict(outcome),
            versions::cost(outcome)
        );
        line.trim_end();
        self.output.say(&line);
        if let (Answer::None, Some(headline)) = (answer, &outcome.headline) {
            self.output
                .say(&text!("{} {}", label(UNKNOWN, ""), harmless(headline)));
        }
    }

    fn no_answer(&self, place: usize, name: &str) -> Failure {
        let outcome = &self.outcomes[&place];
        let why = outcome.headline.as_deref().unwrap_or("it was skipped");
        let message = format!(
            "the {name} version `{}` gave no verdict: {why}",
            outcome.kernel
        );
        let hint = format!(
            "name another {name} version; the evidence is in `{}`",
            outcome.evidence
        );
        Failure::says(Exit::NoVerdict, &message, Some(hint))
    }

    fn no_difference(&self, last: usize, answer: Answer) -> Failure {
        let (good, bad) = (&self.outcomes[&0], &self.outcomes[&last]);
        let what = |outcome: &VersionOutcome| {
            let verdict = versions::verdict(outcome).plain();
            let cost = versions::cost(outcome);
            let between = if cost.is_empty() { "" } else { ", " };
            format!("`{}` ({}{between}{})", outcome.kernel, &*verdict, &*cost)
        };
        let sentence = match answer {
            Answer::None => "no program was accepted on both, so their costs cannot be compared",
            _ => "the bad version is like the good one",
        };
        let message = format!(
            "{sentence} (`--on {}`): {} and {}",
            self.criterion,
            what(good),
            what(bad)
        );
        let hint = "run `ukci sweep` over the stream to see where it changed".to_owned();
        Failure::says(Exit::NoVerdict, &message, Some(hint))
    }
}

/// Writes a text beside the report.
fn write(out: &Path, name: &str, text: &str) -> Result<(), Failure> {
    atomic_file::write(&out.join(name), text)
}

/// Lines of foreign text, indented.
fn indented(lines: impl Iterator<Item = String>) -> Text {
    let mut text = Text::default();
    for line in lines {
        text.push_line(&text!("  {}", harmless(&line)));
    }
    text
}

/// A number as people read it.
fn number(number: usize) -> Text {
    harmless(&render::grouped(number as u64)).into()
}
