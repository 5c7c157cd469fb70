//! `ukci kernels fetch`: download and unpack kernels before a run needs them.

use std::collections::BTreeSet;

use ukci_harness::catalogue::Catalogue;
use ukci_harness::resolve::{self, Manifests};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::lock::LockedKernel;

use super::named;
use ukci_harness::render::harmless;

use crate::args::Fetch;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::output::{GOOD, Output, label};
use crate::text::text;
use crate::{lock_file, selected};

/// Runs the command.
pub(super) fn run(fetch: &Fetch, output: Output) -> Result<Exit, Failure> {
    let catalogue = lock_file::catalogue()?;
    let mut kernels: Vec<&LockedKernel> = Vec::new();
    if fetch.matrix.is_some() || !fetch.names.is_empty() {
        kernels = wanted(
            &fetch.names,
            &fetch.arch,
            fetch.matrix.as_deref(),
            &catalogue,
        )?;
    }
    if kernels.is_empty() {
        let hint = "name one, or a matrix: `ukci kernels fetch --matrix quick`".to_owned();
        return Err(Failure::says(
            Exit::Usage,
            "no kernel was named",
            Some(hint),
        ));
    }
    let fetching = Fetching::new(output);
    for kernel in kernels {
        let downloaded = catalogue.is_prepared(kernel);
        let prepared = named::prepare(&catalogue, kernel, &fetching)?;
        for warning in &prepared.warnings {
            output.warn(warning);
        }
        let word = if downloaded { "Unchanged" } else { "Ready" };
        if output.chatty {
            output.say(&text!(
                "{} {} for {} ({})",
                label(GOOD, word),
                harmless(&kernel.name),
                kernel.arch,
                harmless(&prepared.kernel.release)
            ));
        }
    }
    Ok(Exit::Met)
}

/// The kernels that are named, and those of the matrix, for the architectures that are requested.
pub(in crate::command) fn wanted<'a>(
    names: &[String],
    arches: &[Arch],
    matrix: Option<&str>,
    catalogue: &'a Catalogue,
) -> Result<Vec<&'a LockedKernel>, Failure> {
    let mut wanted: Vec<&LockedKernel> = Vec::new();
    for name in names {
        if arches.is_empty() {
            wanted.push(named::find_one(catalogue, name)?);
        }
        for arch in arches {
            wanted.push(named::find_one(catalogue, &format!("{name}/{arch}"))?);
        }
    }
    if let Some(matrix) = matrix {
        let selection = resolve::Selection {
            matrix: Some(matrix.to_owned()),
            arches: arches.to_vec(),
            ..resolve::Selection::default()
        };
        let artifacts = [selected::any_artifact()];
        let selected = resolve::select(&selection, &artifacts, &Manifests::new(), catalogue)
            .map_err(|error| selected::unresolved(&error))?;
        let locked = |cell: &Cell| catalogue.lock().kernel(&cell.kernel, cell.arch);
        wanted.extend(selected.cells.iter().filter_map(|p| locked(&p.cell)));
    }
    let mut seen = BTreeSet::new();
    wanted.retain(|kernel| seen.insert((&kernel.name, kernel.arch)));
    Ok(wanted)
}
