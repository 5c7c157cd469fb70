//! Gives the commands of functional tests what they need in the guest: a shell, the files that the
//! manifest names, and the libraries of those.
//!
//! It puts them together as it would for a command, so that a program runs here as it does with
//! `ukci exec`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ukci_matrix::manifest::base_name;
use ukci_schema::behavior::DIRECTORY;
use ukci_schema::cell::Arch;
use ukci_schema::command::{Command, CommandFile};
use ukci_schema::plan::{PlannedArtifact, PlannedCell};

use super::Error;
use crate::catalogue::{Catalogue, Progress, digest};
use crate::command::{Draft, SharedFile};

/// Bytes of files that fit into the memory of a guest for objects.
const SMALL: u64 = 24 * 1024 * 1024;

/// Adds to the artifacts and to the contracts of their cells what the commands of tests need.
pub(super) fn provide(
    cells: &mut [PlannedCell],
    artifacts: &mut [PlannedArtifact],
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Error> {
    let mut shells: BTreeMap<Arch, Vec<u8>> = BTreeMap::new();
    for artifact in artifacts {
        let name = artifact.artifact.name.clone();
        let mut of_it: Vec<&mut PlannedCell> = (cells.iter_mut())
            .filter(|planned| planned.cell.artifact == name)
            .filter(|planned| !files(planned).is_empty() || has_command(planned))
            .collect();
        let arches: BTreeSet<Arch> = of_it.iter().map(|planned| planned.cell.arch).collect();
        for arch in arches {
            let shell = match shells.entry(arch) {
                Entry::Occupied(entry) => entry.get().clone(),
                Entry::Vacant(entry) => {
                    let shell = catalogue.program("busybox", arch, progress);
                    let shell = shell.map_err(|source| Error::Shell {
                        arch,
                        source: Box::new(source),
                    })?;
                    entry.insert(shell).clone()
                }
            };
            let of_arch = of_it.iter_mut().filter(|p| p.cell.arch == arch);
            let of_arch: Vec<&mut PlannedCell> = of_arch.map(|planned| &mut **planned).collect();
            let wanted: BTreeSet<String> = of_arch.iter().flat_map(|p| files(p)).collect();
            let of_shell = digest::of(&shell);
            let (placed, memory) = put_together(artifact, &wanted, arch, shell)?;
            // A plan that is written down names files, and another run reads them.
            if let Some(file) = artifact.companions.get_mut(&of_shell)
                && let Some(kept) = catalogue.kept_tool("busybox", arch)
            {
                file.path = kept;
            }
            for planned in of_arch {
                planned.memory = planned.memory.max(memory.unwrap_or(0));
                let contract = &mut planned.contract;
                for sha256 in placed.iter().filter_map(digest_of) {
                    if !contract.files.iter().any(|name| name == sha256) {
                        contract.files.push(sha256.to_owned());
                    }
                }
                contract.placed.clone_from(&placed);
            }
        }
    }
    Ok(())
}

/// The files that the commands of a cell's tests name.
fn files(planned: &PlannedCell) -> Vec<String> {
    let tests = planned.contract.tests.iter();
    let files = tests.filter_map(|test| test.command_files());
    files.flatten().cloned().collect()
}

fn has_command(planned: &PlannedCell) -> bool {
    let mut tests = planned.contract.tests.iter();
    tests.any(|test| test.command_files().is_some())
}

fn digest_of(file: &CommandFile) -> Option<&str> {
    match &file.content {
        ukci_schema::command::Content::Bytes { sha256, .. } => Some(sha256),
        ukci_schema::command::Content::Link { .. } => None,
    }
}

/// The files of a guest with everything that they need, and the memory that they need if they are
/// many. Their bytes are kept with the artifact.
fn put_together(
    artifact: &mut PlannedArtifact,
    wanted: &BTreeSet<String>,
    arch: Arch,
    shell: Vec<u8>,
) -> Result<(Vec<CommandFile>, Option<u32>), Error> {
    let of = artifact.artifact.name.clone();
    let files = wanted.iter().filter_map(|name| {
        let file = artifact.companions.get(name)?;
        Some(SharedFile {
            source: file.path.clone(),
            path: Some(format!("{DIRECTORY}/{}", base_name(name))),
        })
    });
    let draft = Draft {
        name: Some(of.clone()),
        // It is never run: the tests have lines of their own.
        shell: Some("true".into()),
        files: files.collect(),
        workdir: Some(DIRECTORY.into()),
        ..Draft::default()
    };
    let planned = draft
        .plan(arch, shell, &[])
        .map_err(|source| Error::TestFiles {
            artifact: of,
            source: Box::new(source),
        })?;
    let command: Option<Command> = (planned.kept.get(&planned.file.sha256))
        .and_then(|bytes| serde_json::from_slice(bytes).ok());
    let Some(command) = command else {
        return Ok((Vec::new(), None));
    };
    let size: u64 = command.contents().iter().map(|(_, size)| size).sum();
    for (sha256, file) in planned.companions {
        if let Some(bytes) = planned.kept.get(&sha256) {
            artifact.kept.put(&sha256, bytes.to_vec());
        }
        artifact.companions.insert(sha256, file);
    }
    Ok((command.files, (size > SMALL).then_some(command.memory)))
}
