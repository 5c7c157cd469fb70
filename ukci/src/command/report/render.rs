//! `ukci report render`: a report as at the end of its run, or in other formats.

use std::path::Path;

use crate::args::report::Render;
use crate::command::rendered;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::terminal;

/// Runs the command.
pub(super) fn run(args: &Render, output: Output) -> Result<Exit, Failure> {
    let report = super::read(&args.report)?;
    if args.format.is_empty() {
        let file = super::file_of(&args.report);
        let dir = file.parent().unwrap_or(Path::new("")).to_string_lossy();
        let out = if dir.is_empty() { "." } else { &dir };
        super::print(&terminal::ending(&report, out, output))?;
    }
    for format in &args.format {
        let text = rendered::text(&report, format.kind);
        rendered::put(format.path.as_deref(), &text)?;
    }
    Ok(Exit::Met)
}
