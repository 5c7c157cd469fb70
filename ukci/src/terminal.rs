//! The live display: it receives events and prints lines. Nothing else prints events.

mod causes;
mod command_output;
mod short_id;
mod text;
pub(crate) mod wrap;

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ukci_harness::command::{Chunk, Closer, StreamName};
use ukci_harness::event::Event;
use ukci_harness::render::{self, Shown, harmless};
use ukci_schema::cell::Cell;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::output::{Output, QUIET, WARN, WIDEST, for_people, label, paint};
use crate::passed::Passed;
use crate::text::{Text, count, text};
use command_output::Lines;
use short_id::ShortIds;
use text::{cached_line, cell_line, kept_line, whereabouts};

pub(crate) use text::ending;

/// Most running cells with a line of their own.
const LINES: usize = 8;

/// What is shown of a run.
pub(crate) struct Terminal {
    output: Output,
    out: String,
    files: Vec<String>,
    ids: ShortIds,
    bars: MultiProgress,
    bar: Option<ProgressBar>,
    running: BTreeMap<String, ProgressBar>,
    counts: BTreeMap<Outcome, usize>,
    width: usize,
    /// Cells whose verdict an earlier run reached.
    kept: usize,
    /// Cells whose evidence was in the cache.
    cached: usize,
    /// Whether there is one cell only.
    alone: bool,
    lines: Lines,
    /// What became of the output of the commands.
    passed: Passed,
}

/// Most files that did not come back which are named.
const REFUSED: usize = 10;

impl Terminal {
    /// A view of a run of these cells, whose evidence goes to `out`, and which writes `files`. Its bars
    /// are drawn in `bars`.
    pub(crate) fn new<'a>(
        output: Output,
        bars: MultiProgress,
        out: &str,
        files: Vec<String>,
        cells: impl Iterator<Item = &'a Cell> + Clone,
    ) -> Self {
        let ids = ShortIds::of(cells.clone());
        let ids_of = cells.clone();
        Self {
            output,
            out: out.to_owned(),
            files,
            ids,
            bars,
            bar: None,
            running: BTreeMap::new(),
            counts: BTreeMap::new(),
            width: cells
                .map(|cell| ids.id(cell).chars().count())
                .max()
                .unwrap_or(0)
                .min(WIDEST),
            kept: 0,
            cached: 0,
            alone: ids_of.count() < 2,
            lines: Lines::default(),
            passed: Passed::default(),
        }
    }

    /// Shows what happened.
    pub(crate) fn observe(&mut self, event: Event) {
        match event {
            Event::Started { .. } => self.started(&event),
            Event::Warning(text) => {
                self.line(&text!("{} {}", paint(WARN, "warning:"), harmless(&text)));
            }
            Event::Stage { cell, stage } => {
                let id = harmless(&self.ids.id(&cell));
                if self.output.stages {
                    self.line(&text!("{} {}  {}", label(QUIET, "stage"), id, stage));
                }
                if self.output.live {
                    let room = self.running.len() < LINES;
                    if let Some(bar) = self.running.get(&*id) {
                        bar.set_message(stage.name());
                    } else if room {
                        let bar = self
                            .bars
                            .add(ProgressBar::no_length().with_style(running_style()));
                        bar.set_prefix(id.to_string());
                        bar.set_message(stage.name());
                        bar.enable_steady_tick(Duration::from_millis(250));
                        self.running.insert(id.into_string(), bar);
                    }
                }
            }
            Event::Output {
                cell,
                chunk,
                closer,
            } => self.wrote(&cell, &chunk, &closer),
            Event::Retry { cell, why } => {
                self.line(&text!(
                    "{} {}  {}",
                    label(WARN, "AGAIN"),
                    harmless(&self.ids.id(&cell)),
                    harmless(&why)
                ));
            }
            Event::Finished {
                report,
                kept,
                done,
                total,
            } => self.finished(&report, kept, done, total),
            Event::Interrupted => {
                let up = self.running.len();
                let what = if self.output.live {
                    count(up, "machine")
                } else {
                    "machines".into()
                };
                self.line(&text!(
                    "{} {} are shutting down; press Ctrl-C again to kill them",
                    paint(WARN, "stopping:"),
                    what
                ));
            }
            Event::Ended(report) => self.ended(&report),
            _ => {}
        }
    }

    /// Why output of a command was lost that somebody wanted, as a sentence.
    pub(crate) fn lost(&self) -> Option<String> {
        self.passed.lost()
    }

    /// Shows what a command wrote.
    fn wrote(&mut self, cell: &Cell, chunk: &Chunk, closer: &Closer) {
        if self.alone {
            for bar in self.running.values().chain(self.bar.iter()) {
                bar.finish_and_clear();
            }
            self.running.clear();
            self.bar = None;
            self.output.live = false;
            return self.passed.pass(chunk, closer);
        }
        let id = Text::from(harmless(&self.ids.id(cell)));
        let text = self.lines.completed(&id, chunk);
        self.show(chunk.stream, &text);
    }

    fn show(&mut self, stream: StreamName, text: &Text) {
        let text = for_people(text);
        let passed = &mut self.passed;
        let mut show = || passed.show(stream, text.as_bytes());
        if self.output.live {
            self.bars.suspend(show);
        } else {
            show();
        }
    }

    fn line(&self, text: &Text) {
        if self.output.live {
            self.bars.suspend(|| self.output.say(text));
        } else {
            self.output.say(text);
        }
    }

    fn started(&mut self, event: &Event) {
        let Event::Started {
            matrix,
            artifacts,
            cells,
            axes,
            excluded,
            jobs,
            accel,
            ..
        } = event
        else {
            return;
        };
        if !self.output.chatty {
            return;
        }
        let what = match artifacts.as_slice() {
            [one] => harmless(one).into(),
            many => count(many.len(), "object"),
        };
        let mut axes_text = count(axes.0, "kernel");
        if axes.1 > 0 {
            axes_text.push(&text!(", {}", count(axes.1, "LLVM")));
        }
        if axes.2 > 1 {
            axes_text.push(&text!(", {} arches", axes.2));
        }
        let excluded = if *excluded > 0 {
            text!(" ({} excluded)", excluded)
        } else {
            Text::default()
        };
        self.line(&text!(
            "{} {} of `{}`: {} on {}{}",
            label(crate::output::GOOD, "Starting"),
            count(*cells, "cell"),
            harmless(matrix),
            what,
            axes_text,
            excluded
        ));
        let how = text!(
            "{} at once, {} (`ukci doctor` says why)",
            count(*jobs, "machine"),
            harmless(&accel.name)
        );
        self.line(&text!("{:12} {}", "", paint(QUIET, how)));
        if self.output.live {
            let bar = self
                .bars
                .add(ProgressBar::new(*cells as u64).with_style(bar_style()));
            bar.enable_steady_tick(Duration::from_millis(250));
            self.bar = Some(bar);
        }
    }

    fn finished(&mut self, report: &CellReport, kept: bool, done: usize, total: usize) {
        self.kept += usize::from(kept);
        self.cached += usize::from(!kept && report.cached.is_some());
        *self.counts.entry(report.outcome).or_default() += 1;
        let id = Text::from(harmless(&self.ids.id(&report.cell())));
        for (stream, text) in self.lines.rest(&id) {
            self.show(stream, &text);
        }
        if let Some(bar) = self.running.remove(&*id) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        let counted = self.output.live && report.outcome == Outcome::Pass;
        if (self.output.chatty && !counted) || !report.outcome.is_met() {
            self.line(&cell_line(report, &id, kept, done, total, self.width));
        }
        for refused in refused(report) {
            self.line(&refused);
        }
        if self.output.stages && !kept && !report.stages.is_empty() {
            let times = harmless(&render::stage_times(report));
            self.line(&text!("{} {}  {}", label(QUIET, "time"), id, times));
        }
        if let Some(bar) = &self.bar {
            let counts: Vec<String> = self
                .counts
                .iter()
                .map(|(outcome, n)| format!("{n} {outcome}"))
                .collect();
            bar.set_message(counts.join(", "));
            bar.set_position(done as u64);
        }
    }

    fn ended(&mut self, report: &Report) {
        for bar in self.running.values().chain(self.bar.iter()) {
            bar.finish_and_clear();
        }
        self.bar = None;
        // A download that nobody waits for any more may still have a bar.
        let _ = self.bars.clear();
        self.bars.set_draw_target(ProgressDrawTarget::hidden());
        let mut text = ending(&Shown::of(report), &self.out, self.output);
        text.push(&kept_line(self.kept));
        text.push(&cached_line(self.cached));
        text.push(&whereabouts(&self.files));
        self.output.say(&text);
    }
}

/// The files of a command that did not come back, a warning each.
pub(crate) fn refused(report: &CellReport) -> Vec<Text> {
    let Some(command) = &report.command else {
        return Vec::new();
    };
    let warning = |text: &str| {
        text!(
            "{} {}: a file of `UKCI_OUT` did not come back: {}",
            paint(WARN, "warning:"),
            harmless(&report.kernel),
            harmless(text)
        )
    };
    let all = &command.out_refused;
    let mut lines: Vec<Text> = all.iter().take(REFUSED).map(|one| warning(one)).collect();
    if all.len() > REFUSED {
        let more = format!("and {} more, which the report lists", all.len() - REFUSED);
        lines.push(warning(&more));
    }
    lines
}

fn bar_style() -> ProgressStyle {
    template("{prefix:>12.bold}Running [{elapsed_precise}] {wide_bar:.cyan/dim} {pos}/{len}: {msg}")
}

fn running_style() -> ProgressStyle {
    template("             [{elapsed:>8}] {prefix}  {msg:.dim}")
}

/// The templates are ours and valid; a default is still better than a panic.
fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
