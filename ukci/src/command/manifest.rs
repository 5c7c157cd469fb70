//! `ukci manifest`: print manifests that are generated instead of written by hand.

mod record;

use std::path::Path;

use ukci_harness::input_file::{self, TEXT_LIMIT};
use ukci_harness::object_file;
use ukci_harness::render::harmless_lines;
use ukci_harness::resolve;
use ukci_matrix::manifest::{self, ObjectFacts};
use ukci_schema::artifact::name_of;
use ukci_schema::report::CellReport;

use crate::args::manifest::{Import, Manifest, Suggest};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::report_file;
use crate::selected::unresolved;
use crate::stdout::print;

/// Runs the command.
pub(crate) fn run(command: Manifest, output: Output) -> Result<Exit, Failure> {
    match command {
        Manifest::Suggest(args) => suggest(&args),
        Manifest::Record(args) => record::run(*args, output),
        Manifest::Import(args) => import(&args),
    }
}

/// What an object has, which must be programs.
pub(crate) fn with_programs(path: &Path, bytes: &[u8]) -> Result<ObjectFacts, Failure> {
    let facts = object_file::facts(bytes).filter(|facts| !facts.names.programs.is_empty());
    facts.ok_or_else(|| {
        let message = format!("`{}` is not an object with BPF programs", path.display());
        let hint = "give the object that a compiler made of a `.bpf.c` file".to_owned();
        Failure::says(Exit::Usage, &message, Some(hint))
    })
}

fn suggest(args: &Suggest) -> Result<Exit, Failure> {
    let bytes = object(&args.object)?;
    let facts = with_programs(&args.object, &bytes)?;
    let report = args.report.as_deref().map(report_file::read).transpose()?;
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
        return Err(Failure::says(Exit::Usage, &message, None));
    }
    print(harmless_lines(
        &manifest::suggest(&facts, &cells).to_toml(artifact),
    ))
}

/// An object, or the only one inside a program.
fn object(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = match resolve::object(path) {
        Ok(bytes) => return Ok(bytes),
        Err(error) => error,
    };
    let Ok(found) = resolve::embedded(path) else {
        return Err(unresolved(&refused));
    };
    match <[resolve::Embedded; 1]>::try_from(found) {
        Ok([object]) => Ok(object.bytes),
        Err(several) => {
            let message = format!(
                "`{}` contains {} BPF objects, and a manifest describes one",
                path.display(),
                several.len()
            );
            let hint = "give the `.bpf.o` of one of them, or record what the program does with \
                        `ukci manifest record`";
            Err(Failure::says(Exit::Usage, &message, Some(hint.into())))
        }
    }
}

fn import(args: &Import) -> Result<Exit, Failure> {
    let name = args.file.display().to_string();
    let text = input_file::read_text(&args.file, TEXT_LIMIT)
        .map_err(|error| Failure::unread(&args.file, &error))?;
    let imported = manifest::import(&text, &name)
        .map_err(|error| Failure::of(Exit::Usage, &error, error.hint()))?;
    print(harmless_lines(&imported.toml))
}
