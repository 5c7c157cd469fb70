//! `ukci manifest`: manifests that are made, not written by hand.

use ukci_matrix::manifest;

use crate::args::manifest::{Import, Manifest};
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// Runs the command.
pub(crate) fn run(command: &Manifest) -> Result<Exit, Failure> {
    match command {
        Manifest::Import(args) => import(args),
    }
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
