//! `ukci check`: the main job.

use super::bless;
use crate::args::Check;
use crate::cells;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

/// Runs the command.
pub(crate) fn run(check: Check, output: Output) -> Result<Exit, Failure> {
    let blessed = check
        .bless
        .then(|| bless::file(check.selection.matrix.as_deref()).map(ToOwned::to_owned))
        .transpose()?;
    let settings = Settings::of(check)?;
    match (cells::run(&settings, output)?, blessed) {
        ((Some(report), _), Some(file)) => bless::bless(&file, &report, output),
        ((_, exit), _) => Ok(exit),
    }
}
