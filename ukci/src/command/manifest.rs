//! `ukci manifest`: manifests that are made, not written by hand.

use ukci_harness::object_file;
use ukci_matrix::manifest;
use ukci_schema::artifact::name_of;
use ukci_schema::report::CellReport;

use crate::args::manifest::{Import, Manifest, Suggest};
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// Runs the command.
pub(crate) fn run(command: &Manifest) -> Result<Exit, Failure> {
    match command {
        Manifest::Suggest(args) => suggest(args),
        Manifest::Import(args) => import(args),
    }
}

fn suggest(args: &Suggest) -> Result<Exit, Failure> {
    let file = args.object.display().to_string();
    let bytes = std::fs::read(&args.object).map_err(|error| {
        let message = format!("failed to read `{file}`: {error}");
        Failure::plain(Exit::NoVerdict, &message, None)
    })?;
    let facts = object_file::facts(&bytes).filter(|facts| !facts.names.programs.is_empty());
    let Some(facts) = facts else {
        let message = format!("`{file}` is not an object with BPF programs");
        let hint = "give the object that a compiler made of a `.bpf.c` file".to_owned();
        return Err(Failure::plain(Exit::Usage, &message, Some(hint)));
    };
    let report = args
        .report
        .as_deref()
        .map(super::report::read)
        .transpose()?;
    let file_name = args
        .object
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let artifact = name_of(&file_name);
    let cells = report.iter().flat_map(|report| &report.cells);
    let cells: Vec<&CellReport> = cells.filter(|cell| cell.artifact == artifact).collect();
    if args.report.is_some() && cells.is_empty() {
        let message = format!("the report has no cell of artifact `{artifact}`");
        return Err(Failure::plain(Exit::Usage, &message, None));
    }
    print(&manifest::suggest(&facts, &cells).to_toml(artifact))
}

fn import(args: &Import) -> Result<Exit, Failure> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).map_err(|error| {
        let message = format!("failed to read `{name}`: {error}");
        Failure::plain(Exit::NoVerdict, &message, None)
    })?;
    let imported = manifest::import(&text, &name).map_err(|error| {
        let message = format!("failed to import the manifest\n  Caused by: {error}");
        Failure::plain(Exit::Usage, &message, error.hint())
    })?;
    print(&imported.toml)
}

/// Prints to stdout; whoever reads it may stop early.
fn print(text: &str) -> Result<Exit, Failure> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let message = format!("failed to write to stdout: {error}");
            Err(Failure::plain(Exit::NoVerdict, &message, None))
        }
        _ => Ok(Exit::Met),
    }
}
