//! `ukci report diff`: show what changed, and fail if it got worse.

use ukci_harness::render::{self, Shown};
use ukci_harness::report::compare;

use crate::args::report::{Diff, FailOn, Shape};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, Output, paint};
use crate::report_file;
use crate::stdout::{pretty, print, show};
use crate::text::{Text, text};

/// Runs the command.
pub(super) fn run(args: &Diff, output: Output) -> Result<Exit, Failure> {
    let (old, new) = (report_file::read(&args.old)?, report_file::read(&args.new)?);
    let diff = compare::Diff::of(&old, &new);
    let shown = Shown::of(&diff);
    match args.format {
        Shape::Text => show(render::diff(&shown)),
        Shape::Markdown => print(render::diff_markdown(&shown)),
        Shape::Json => print(pretty(&diff)),
    }?;
    let mut reasons = Vec::new();
    for what in &args.fail_on {
        let (count, words) = match what {
            FailOn::NewFailures => (diff.new_failures().count(), "new failures"),
            FailOn::Removed => (diff.removed.len(), "missing cells"),
            FailOn::Changed => (diff.changed.len(), "changed cells"),
            FailOn::Growth => {
                let most = f64::from(args.max_growth_percent);
                (diff.grown(most).count(), "programs over the allowed growth")
            }
            FailOn::Never => continue,
        };
        if count > 0 {
            reasons.push(text!("{}: {}", words, count));
        }
    }
    if reasons.is_empty() {
        return Ok(Exit::Met);
    }
    let reasons = Text::joined(&reasons, "; ");
    output.say(&text!("{} {}", paint(BAD, "worse:"), reasons));
    Ok(Exit::Unmet)
}
