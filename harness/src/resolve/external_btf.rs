//! Gives cells the BTF of a file, which CO-RE uses instead of the kernel's own.

use std::collections::BTreeSet;
use std::path::Path;

use ukci_schema::cell::kernel_key;
use ukci_schema::plan::{FileRef, PlannedArtifact};

use super::{Error, Selected, object_file};
use crate::catalogue::digest;
use crate::object_file::kernel_btf;

/// Largest file that is read: a `vmlinux` with its debug information.
const LIMIT: u64 = 2 << 30;

/// Relocates every object against the BTF in a file. A BTF describes one kernel, so all cells must be
/// on the same one.
pub fn external_btf(
    path: &Path,
    selected: &mut Selected,
    artifacts: &mut [PlannedArtifact],
) -> Result<(), Error> {
    let path = path.to_owned();
    let file = object_file::read_within(&path, LIMIT)?;
    let found = kernel_btf(&file).map_err(|no| Error::NoKernelBtf {
        path: path.clone(),
        what: no.what,
        hint: no.hint,
    })?;
    let cells = selected.cells.iter().map(|planned| &planned.cell);
    let kernels: BTreeSet<String> = (cells.clone())
        .map(|cell| kernel_key(&cell.kernel, cell.arch))
        .collect();
    if kernels.len() > 1 {
        return Err(Error::BtfOfOneKernel {
            path,
            kernels: kernels.len(),
        });
    }
    if let Some(arch) = found.arch
        && let Some(cell) = cells.clone().find(|cell| cell.arch != arch)
    {
        return Err(Error::BtfForOtherArch {
            path,
            arch,
            kernel: cell.kernel.clone(),
            runs_on: cell.arch,
        });
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let sha256 = digest::of(found.bytes);
    for artifact in artifacts {
        let companions = &mut artifact.companions;
        if (companions.get(&name)).is_some_and(|other| other.sha256 != sha256) {
            let what = format!(
                "the manifest of `{}` names another file `{name}`",
                artifact.artifact.name
            );
            let hint = Some("give one of the two files another name");
            return Err(Error::NoKernelBtf { path, what, hint });
        }
        artifact.kept.put(&sha256, found.bytes.to_vec());
        let file = FileRef {
            path: path.clone(),
            sha256: sha256.clone(),
        };
        companions.insert(name.clone(), file);
    }
    for planned in &mut selected.cells {
        let files = &mut planned.contract.files;
        let index = files.iter().position(|file| *file == name);
        planned.contract.custom_btf = Some(index.unwrap_or_else(|| {
            files.push(name.clone());
            files.len() - 1
        }));
        planned.cell.btf = Some(name.clone());
    }
    Ok(())
}
