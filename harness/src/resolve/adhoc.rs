//! Kernels that are named on the command line, without a matrix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_schema::artifact::Artifact;
use ukci_schema::budget::Budget;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::plan::PlannedCell;

use super::{Agents, Compilation, Error, Manifests, Selected, Selection, alias};
use crate::catalogue::Catalogue;

/// Every artifact on every kernel that was named.
pub(super) fn select(
    selection: &Selection,
    artifacts: &[Artifact],
    catalogue: &Catalogue,
) -> Result<Selected, Error> {
    let lock = catalogue.lock();
    let mut own: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut points: Vec<(String, Arch)> = Vec::new();
    for kernel in &selection.kernels {
        let locked = lock.arches(kernel);
        let (name, arches) = if !locked.is_empty() {
            (
                kernel.clone(),
                locked_arches(kernel, &selection.arches, locked)?,
            )
        } else if kernel.contains('/') {
            let name = own_kernel(kernel, catalogue, &mut own)?;
            (name, vec![own_arch(kernel, selection, catalogue)?])
        } else {
            let name = alias::full_name(kernel, lock, |_| true)?;
            let arches = locked_arches(&name, &selection.arches, lock.arches(&name))?;
            (name, arches)
        };
        for arch in arches {
            if !points.contains(&(name.clone(), arch)) {
                points.push((name.clone(), arch));
            }
        }
    }
    let cells = artifacts.iter().flat_map(|artifact| {
        points.iter().map(|(kernel, arch)| {
            PlannedCell::new(Cell {
                artifact: artifact.name.clone(),
                kernel: kernel.clone(),
                llvm: None,
                arch: *arch,
                btf: None,
            })
        })
    });
    Ok(Selected {
        matrix: "adhoc".to_owned(),
        cells: cells.collect(),
        excluded: 0,
        warnings: Vec::new(),
        compilation: Compilation::default(),
        agents: Agents::default(),
        own,
        budget: Budget::default(),
        shard: None,
        manifests: Manifests::new(),
        modules: selection.modules.clone(),
        cmdline: Vec::new(),
        sysctl: Vec::new(),
    })
}

/// The architectures to run a locked kernel on: those requested, or `x86_64`.
fn locked_arches(kernel: &str, asked: &[Arch], locked: Vec<Arch>) -> Result<Vec<Arch>, Error> {
    let asked = match asked {
        [] => &[Arch::X86_64],
        some => some,
    };
    match asked.iter().find(|arch| !locked.contains(arch)) {
        None => Ok(asked.to_vec()),
        Some(arch) => Err(Error::NotLockedFor {
            name: kernel.to_owned(),
            arch: *arch,
            known: locked,
        }),
    }
}

/// The architecture that the user's own kernel is made for, which must be among those requested.
fn own_arch(kernel: &str, selection: &Selection, catalogue: &Catalogue) -> Result<Arch, Error> {
    let asked = &selection.arches;
    let path = Path::new(kernel);
    let made_for = catalogue
        .arch_of(path, &selection.modules)
        .map_err(|source| Error::Kernel {
            kernel: kernel.to_owned(),
            source: Box::new(source),
        })?;
    if asked.is_empty() || asked.contains(&made_for) {
        return Ok(made_for);
    }
    Err(Error::NotLockedFor {
        name: kernel.to_owned(),
        arch: asked[0],
        known: vec![made_for],
    })
}

/// The user's own kernel is named by its file; no other may have that name. A file on a server was
/// [downloaded](Catalogue::download) before.
fn own_kernel(
    path: &str,
    catalogue: &Catalogue,
    own: &mut BTreeMap<String, PathBuf>,
) -> Result<String, Error> {
    let file = Path::new(path);
    let failed = |source| Error::Kernel {
        kernel: path.to_owned(),
        source: Box::new(source),
    };
    let name = Catalogue::own_name(file).map_err(failed)?;
    let local = catalogue.local(file).map_err(failed)?;
    if let Err(source) = std::fs::metadata(local) {
        return Err(Error::Read {
            path: file.to_owned(),
            source,
        });
    }
    let other = match own.get(&name) {
        Some(other) if other != file => Some(other.display().to_string()),
        None if catalogue.lock().names().any(|known| known == name) => Some(name.clone()),
        _ => None,
    };
    if let Some(other) = other {
        return Err(Error::SameKernel {
            name,
            one: path.to_owned(),
            other,
        });
    }
    own.insert(name.clone(), file.to_owned());
    Ok(name)
}
