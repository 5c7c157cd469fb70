//! `ukci check --bless`: this run's failures become the matrix's expectations.

use std::collections::BTreeMap;
use std::path::Path;

use ukci_matrix::matrix::{self, Refused, Why};
use ukci_schema::diagnosis::Code;
use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

use crate::atomic_file;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, WARN, label};
use crate::text::{Text, count, text};
use ukci_harness::input_file::{self, TEXT_LIMIT};
use ukci_harness::render::harmless;

/// The file that `--bless` writes to: only a matrix that is a file can take expectations.
pub(crate) fn file(matrix: Option<&str>) -> Result<&Path, Failure> {
    let path = matrix.map(Path::new);
    path.filter(|path| path.is_file()).ok_or_else(|| {
        let hint = "name it by its path: `--matrix ./mine.toml --bless`".to_owned();
        let message = "`--bless` writes to a matrix file, and none was given";
        Failure::says(Exit::Usage, message, Some(hint))
    })
}

/// Writes the expectations, and says what the run would have come to with them. `told` are codes
/// that say nothing of a kernel and are to be blessed all the same.
pub(crate) fn bless(
    path: &Path,
    report: &Report,
    told: &[Code],
    output: Output,
) -> Result<Exit, Failure> {
    let name = path.display().to_string();
    let text =
        input_file::read_text(path, TEXT_LIMIT).map_err(|error| Failure::unread(path, &error))?;
    let blessed = matrix::bless(&text, &name, report, told)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    if !blessed.cells.is_empty() {
        atomic_file::write(path, &blessed.text)?;
    }
    let stale = report.cells.iter();
    let stale = stale.filter(|cell| cell.outcome == Outcome::Xpass).count();
    if output.chatty && blessed.cells.is_empty() {
        output.say(&text!(
            "{} nothing: no cell failed in a way that `{}` can expect",
            label(GOOD, "Blessed"),
            harmless(&name)
        ));
    }
    if stale > 0 {
        output.say(&text!(
            "{} {} not blessed: {} passed unexpectedly; delete the rules that expect a failure",
            label(WARN, "Refused"),
            cells_are(stale),
            if stale == 1 { "it" } else { "they" }
        ));
    }
    if output.chatty && !blessed.cells.is_empty() {
        output.say(&text!(
            "{} {} expected to fail from now on, in {}",
            label(GOOD, "Blessed"),
            cells_are(blessed.cells.len()),
            harmless(&name),
        ));
    }
    refused(&blessed.refused, output);
    let mut then = report.clone();
    for cell in &mut then.cells {
        if blessed.cells.contains(&cell.id) {
            cell.outcome = Outcome::Xfail;
        }
    }
    Ok(Exit::of(&then))
}

/// Says which failures were not blessed, one sentence for each reason.
fn refused(refused: &[Refused], output: Output) {
    let mut reasons: BTreeMap<(Why, Code), usize> = BTreeMap::new();
    for refused in refused {
        *reasons.entry((refused.why, refused.code)).or_default() += 1;
    }
    for ((why, code), count) in reasons {
        let why = match why {
            Why::NotOfAKernel => {
                text!(
                    "says nothing of a kernel; add `--bless-code {}` to bless it",
                    code
                )
            }
            Why::NeedsAnAxis => {
                "does not hold for all LLVMs or architectures of this run, and the \
                 matrix does not name them: add `llvms` or `arches` to its `[[cells]]`"
                    .into()
            }
        };
        output.say(&text!(
            "{} {} not blessed: {} {}",
            label(WARN, "Refused"),
            cells_are(count),
            code,
            why
        ));
    }
}

fn cells_are(number: usize) -> Text {
    let verb = if number == 1 { "is" } else { "are" };
    text!("{} {}", count(number, "cell"), verb)
}
