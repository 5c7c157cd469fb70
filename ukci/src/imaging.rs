//! Progress of the image of a root file system: a bar on a terminal, a line per step elsewhere.

use std::path::Path;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use ukci_harness::render::harmless;
use ukci_harness::rootfs::Progress;

use crate::fetching::bars;
use crate::output::{GOOD, Output, label};
use crate::text::text;

/// A smaller source is read before anybody could wonder.
const WORTH_A_LINE: u64 = 64 << 20;

/// Shows how an image is made. Called from several threads.
pub(crate) struct Imaging<'a> {
    source: &'a Path,
    output: Output,
    bar: ProgressBar,
    /// The last step that a line told of.
    told: Mutex<Option<&'static str>>,
}

impl<'a> Imaging<'a> {
    /// Of the image of this source.
    pub(crate) fn new(source: &'a Path, output: Output) -> Self {
        let bar = bars(output).add(ProgressBar::new(0).with_style(style()));
        Self {
            source,
            output,
            bar,
            told: Mutex::default(),
        }
    }

    /// Shows one step.
    pub(crate) fn show(&self, progress: Progress) {
        let (verb, what, done, total) = match progress {
            Progress::Reading { total, .. } if total < WORTH_A_LINE => return,
            Progress::Reading { done, total } => ("Reading", "the files of", done, total),
            Progress::Making { done, total } => ("Making", "an image of", done, total),
            _ => return,
        };
        let mut told = (self.told.lock()).unwrap_or_else(std::sync::PoisonError::into_inner);
        if *told != Some(verb) {
            *told = Some(verb);
            if self.output.chatty {
                let source = self.source.display().to_string();
                let line = text!("{} {} {}", label(GOOD, verb), what, harmless(&source));
                self.bar.suspend(|| self.output.say(&line));
            }
        }
        drop(told);
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// The image is there, or never will be.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("             {bar:20.cyan/dim} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
