//! `ukci check`: run the cells of a matrix and report the results.

use std::collections::BTreeMap;

use super::bless;
use crate::args::Check;
use crate::cells;
use crate::diagnostic::Failure;
use crate::embedded;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

/// Runs the command.
pub(crate) fn run(mut check: Check, output: Output) -> Result<Exit, Failure> {
    let blessed = check
        .bless
        .then(|| bless::file(check.selection.matrix.as_deref()).map(ToOwned::to_owned))
        .transpose()?;
    let mut programs = BTreeMap::new();
    if check.embedded {
        check.artifacts.append(&mut check.artifact);
        let extracted = embedded::extract(&check.artifacts, output)?;
        (check.artifacts, programs) = (extracted.files, extracted.programs);
    }
    let told = check.bless_code.clone();
    let mut settings = Settings::of(check)?;
    settings.embedded = programs;
    let (report, exit) = cells::run(&settings, output)?;
    match blessed {
        Some(file) => bless::bless(&file, &report, &told, output),
        None => Ok(exit),
    }
}
