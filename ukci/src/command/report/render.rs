//! `ukci report render`: a report in other formats.

use crate::args::report::Render;
use crate::command::rendered;
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// Runs the command.
pub(super) fn run(args: &Render) -> Result<Exit, Failure> {
    let report = super::read(&args.report)?;
    for format in &args.format {
        let text = rendered::text(&report, format.kind);
        rendered::put(format.path.as_deref(), &text)?;
    }
    Ok(Exit::Met)
}
