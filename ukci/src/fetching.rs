//! Progress of downloads: bars on a terminal, a line per package elsewhere.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ukci_harness::catalogue::Progress;

use crate::output::{GOOD, Output, label};
use crate::text::text;
use ukci_harness::render::harmless;

/// Shows what is fetched and unpacked. Called from several threads.
pub(crate) struct Fetching {
    output: Output,
    all: MultiProgress,
    /// By package: the mirror that it comes from, and its bar.
    bars: Mutex<BTreeMap<String, (String, ProgressBar)>>,
    /// Whether nobody wants to know any more.
    is_over: AtomicBool,
}

/// Where bars are drawn: one place for all that are shown at a time.
pub(crate) fn bars(output: Output) -> MultiProgress {
    let target = if output.live {
        ProgressDrawTarget::stderr_with_hz(5)
    } else {
        ProgressDrawTarget::hidden()
    };
    MultiProgress::with_draw_target(target)
}

impl Fetching {
    pub(crate) fn new(output: Output) -> Self {
        Self::among(bars(output), output)
    }

    /// The same beside what else is drawn there.
    pub(crate) fn among(all: MultiProgress, output: Output) -> Self {
        Self {
            output,
            all,
            bars: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Shows nothing from now on: what is still under way is for nobody.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Shows one step.
    pub(crate) fn show(&self, progress: Progress) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut bars = self
            .bars
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match progress {
            Progress::Fetching {
                package,
                from,
                done,
                total,
            } => {
                let coming = bars.get(&package);
                // Another mirror takes over where one breaks off.
                if coming.is_none_or(|(mirror, _)| *mirror != from) {
                    self.say("Fetching", &format!("{package} from {from}"));
                }
                let new = || {
                    let bar = self.all.add(ProgressBar::new(total).with_style(style()));
                    bar.set_prefix(harmless(&package).into_string());
                    bar
                };
                let bar = coming.map_or_else(new, |(_, bar)| bar.clone());
                bar.set_position(done);
                bars.insert(package, (from, bar));
            }
            Progress::Fetched { package } => {
                if let Some((_, bar)) = bars.remove(&package) {
                    bar.finish_and_clear();
                }
            }
            Progress::Unpacking { kernel } => self.say("Unpacking", &kernel),
            Progress::Waiting { what } => self.say("Waiting", &what),
            _ => {}
        }
    }

    fn say(&self, verb: &'static str, what: &str) {
        if !self.output.chatty {
            return;
        }
        let line = text!("{} {}", label(GOOD, verb), harmless(what));
        if self.output.live {
            let _ = self.all.println(self.output.styled(&line));
        } else {
            self.output.say(&line);
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "             {prefix:40!} {bar:20.cyan/dim} {bytes}/{total_bytes} {eta}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar())
    .progress_chars("━╸─")
}
