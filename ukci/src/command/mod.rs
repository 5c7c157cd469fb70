//! One file a subcommand.

pub(crate) mod bless;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fetching;
pub(crate) mod kernels;
pub(crate) mod list;
pub(crate) mod rendered;
pub(crate) mod report;
pub(crate) mod rerun;

use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::resolve::{self, Selected, Selection};
use ukci_schema::cell::Cell;
use ukci_schema::lock::Lock;
use ukci_schema::plan::PlannedArtifact;

use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// The lock: `UKCI_LOCK`, or the one that travels in the binary.
pub(crate) fn lock() -> Result<Lock, Failure> {
    let (text, name) = match std::env::var_os("UKCI_LOCK") {
        None => (resolve::LOCK.to_owned(), "kernels/lock.json".to_owned()),
        Some(path) => {
            let name = path.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Failure::plain(
                    Exit::NoVerdict,
                    &format!("failed to read `{name}`: {error}"),
                    None,
                )
            })?;
            (text, name)
        }
    };
    let lock: Lock = serde_json::from_str(&text).map_err(|error| {
        let message = format!("failed to read `{name}` as a lock: {error}");
        Failure::plain(Exit::NoVerdict, &message, None)
    })?;
    if lock.schema != ukci_schema::lock::SCHEMA {
        let message = format!(
            "`{name}` is `{}`, not `{}`",
            lock.schema,
            ukci_schema::lock::SCHEMA
        );
        return Err(Failure::plain(Exit::NoVerdict, &message, None));
    }
    Ok(lock)
}

/// The catalogue over this user's store.
pub(crate) fn catalogue(locked: bool) -> Result<Catalogue, Failure> {
    Catalogue::open(lock()?, &catalogue::cache_dir(), locked)
        .map_err(|error| Failure::new(Exit::NoVerdict, &error, error.hint()))
}

/// A failed resolution: zero cells and wrong names have their own statuses.
pub(crate) fn unresolved(error: &resolve::Error) -> Failure {
    let exit = match error {
        resolve::Error::NoCells { .. } => Exit::NoCells,
        resolve::Error::UnknownMatrix(_)
        | resolve::Error::UnknownKernel { .. }
        | resolve::Error::NotInMatrix { .. }
        | resolve::Error::SameKernel { .. }
        | resolve::Error::Matrix(_)
        | resolve::Error::Source(_)
        | resolve::Error::SameName { .. } => Exit::Usage,
        _ => Exit::NoVerdict,
    };
    Failure::new(exit, error, error.hint())
}

/// The matrix that the command line selects; none where it names kernels alone.
pub(crate) fn matrix(args: &args::Selection) -> Option<&str> {
    let default = args.kernel.is_empty().then_some("quick");
    args.matrix.as_deref().or(default)
}

/// What the command line selects.
pub(crate) fn select(
    args: &args::Selection,
    artifacts: &[PlannedArtifact],
    catalogue: &Catalogue,
) -> Result<Selected, Failure> {
    let selection = Selection {
        matrix: matrix(args).map(str::to_owned),
        kernels: args.kernel.clone(),
        modules: args.modules.clone(),
    };
    let mut selected =
        resolve::select(&selection, artifacts, catalogue).map_err(|error| unresolved(&error))?;
    if let Some(partition) = &args.partition {
        let mut place = 0..;
        let mine = |cell: &Cell| {
            place
                .next()
                .is_some_and(|place| partition.takes(place, cell))
        };
        retain(&mut selected, mine)?;
    }
    if !args.modules.is_empty() && selected.own.is_empty() {
        let hint = "name one by its path, e.g. `--kernel ./bzImage`".to_owned();
        let message = "`--modules` is for kernels of your own";
        return Err(Failure::plain(Exit::Usage, message, Some(hint)));
    }
    Ok(selected)
}

/// Keeps only some of the cells; it is an error to be left without any.
pub(crate) fn retain(
    selected: &mut Selected,
    mut keep: impl FnMut(&Cell) -> bool,
) -> Result<(), Failure> {
    selected.cells.retain(|planned| keep(&planned.cell));
    if selected.cells.is_empty() {
        let message = format!("no cell of `{}` is left", selected.matrix);
        let hint = "`ukci list` shows what a selection comes to".to_owned();
        return Err(Failure::plain(Exit::NoCells, &message, Some(hint)));
    }
    Ok(())
}
