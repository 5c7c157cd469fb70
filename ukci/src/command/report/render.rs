//! `ukci report render`: print a report as its run did, or in other formats.

use std::path::Path;

use ukci_harness::render::Shown;

use crate::args::report::Render;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::stdout::show;
use crate::terminal;
use crate::{report_file, report_formats};

/// Runs the command.
pub(super) fn run(args: &Render, output: Output) -> Result<Exit, Failure> {
    let report = report_file::read(&args.report)?;
    if args.format.is_empty() {
        let file = report_file::file_of(&args.report);
        let dir = file.parent().unwrap_or(Path::new("")).to_string_lossy();
        let out = if dir.is_empty() { "." } else { &dir };
        show(terminal::ending(&Shown::of(&report), out, output))?;
    }
    for format in &args.format {
        let text = report_formats::text(&report, format.kind);
        report_formats::put(format.path.as_deref(), text)?;
    }
    Ok(Exit::Met)
}
