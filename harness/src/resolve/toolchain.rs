//! The LLVM axis: which sources are compiled by which clang, and the results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;
use ukci_schema::plan::{PlannedArtifact, PlannedCell, PlannedObject};

use super::{Error, ReadManifest, Selected, object_file};
use crate::catalogue::{Catalogue, Progress, digest};
use crate::compile::{self, Clang, Compiled, Options, vmlinux};
use crate::threads;

/// How sources are compiled, in the user's words.
#[derive(Clone, Debug, Default)]
pub struct Compilation {
    /// Directories for `-I`.
    pub include: Vec<PathBuf>,
    /// Macros for `-D`.
    pub define: Vec<String>,
    /// Where `vmlinux.h` comes from; `None` if the sources bring their own.
    pub vmlinux_h: Option<vmlinux::Source>,
    /// libbpf's headers, as [`compile::libbpf_headers::unpack`] takes them.
    pub libbpf: Option<&'static [u8]>,
}

/// Gives the cells of sources their LLVMs: those of the matrix, of which `asked` keeps some; where
/// it names none, those requested, or else the newest installed.
pub(super) fn spread(
    cells: &mut Vec<PlannedCell>,
    artifacts: &[Artifact],
    asked: &[String],
) -> Result<(), Error> {
    let sources: BTreeMap<&str, &Artifact> = artifacts
        .iter()
        .filter(|artifact| artifact.form == Form::Source)
        .map(|artifact| (artifact.name.as_str(), artifact))
        .collect();
    let Some(first) = sources.values().next() else {
        return match asked {
            [] => Ok(()),
            _ => Err(Error::NoSource),
        };
    };
    let is_source = |planned: &PlannedCell| sources.contains_key(planned.cell.artifact.as_str());
    let named = cells.iter().any(|p| is_source(p) && p.cell.llvm.is_some());
    let without = cells.iter().any(|p| is_source(p) && p.cell.llvm.is_none());
    let llvms = match asked {
        [] if without => vec![compile::newest(first.path.as_ref())?.major],
        asked => asked.to_vec(),
    };
    let before = std::mem::take(cells);
    let known: BTreeSet<String> = before.iter().filter_map(|p| p.cell.llvm.clone()).collect();
    if let Some(other) = asked.iter().find(|llvm| !without && !known.contains(*llvm)) {
        return Err(Error::LlvmNotInMatrix {
            llvm: other.clone(),
            known: known.into_iter().collect(),
        });
    }
    for planned in before {
        match &planned.cell.llvm {
            None if is_source(&planned) => cells.extend(llvms.iter().map(|llvm| {
                let mut planned = planned.clone();
                planned.cell.llvm = Some(llvm.clone());
                planned
            })),
            Some(llvm) if named && !asked.is_empty() && !asked.contains(llvm) => {}
            _ => cells.push(planned),
        }
    }
    Ok(())
}

/// Compiles the sources of a run, each once for an LLVM and an architecture.
pub(super) fn compile_all(
    selected: &Selected,
    artifacts: &[PlannedArtifact],
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<BTreeMap<String, PlannedObject>, Error> {
    let wanted: BTreeMap<String, (&str, &str, Arch)> = (selected.cells.iter())
        .filter_map(|p| {
            let cell = &p.cell;
            let llvm = cell.llvm.as_deref()?;
            Some((
                cell.object_key()?,
                (cell.artifact.as_str(), llvm, cell.arch),
            ))
        })
        .collect();
    // What is missing is said before anything is compiled or fetched.
    let mut clangs: BTreeMap<&str, Clang> = BTreeMap::new();
    for (_, llvm, _) in wanted.values() {
        if !clangs.contains_key(llvm) {
            clangs.insert(llvm, compile::find(llvm)?);
        }
    }
    let arches: BTreeSet<Arch> = wanted.values().map(|(_, _, arch)| *arch).collect();
    let cache = catalogue.cache();
    let libbpf = (selected.compilation.libbpf)
        .map(|packed| compile::libbpf_headers::unpack(packed, cache))
        .transpose()
        .map_err(|source| compile::Error::Io {
            action: "unpack libbpf's headers into",
            path: cache.to_owned(),
            source,
        })?;
    let options = Options {
        libbpf,
        include: selected.compilation.include.clone(),
        define: selected.compilation.define.clone(),
        vmlinux_h: headers(&selected.compilation, arches, catalogue, progress)?,
        cache: catalogue.cache().to_owned(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let done = threads::for_each(cores, wanted, |(key, (name, llvm, arch))| {
        let source = artifacts.iter().find(|a| a.artifact.name == name)?;
        let clang = clangs.get(llvm)?;
        let path = source.artifact.path.as_ref();
        let compiled = compile::compile(path, clang, arch, &options)
            .map_err(Error::from)
            .and_then(|compiled| unchanged(source).map(|()| compiled))
            .and_then(|compiled| checked(source, selected.manifests.get(name), compiled));
        Some((key, (clang.banner.clone(), compiled)))
    });
    let mut objects = BTreeMap::new();
    for (key, (clang, compiled)) in done.into_iter().flatten() {
        let object = match compiled? {
            Compiled::Object(file) => PlannedObject::Object { clang, file },
            Compiled::Refused { diagnosis, log } => PlannedObject::Refused {
                clang,
                diagnosis: *diagnosis,
                log,
            },
        };
        objects.insert(key, object);
    }
    Ok(objects)
}

/// Refuses a source whose object has functions and no program, or not what its manifest speaks of.
fn checked(
    source: &PlannedArtifact,
    manifest: Option<&ReadManifest>,
    compiled: Compiled,
) -> Result<Compiled, Error> {
    if let Compiled::Object(file) = &compiled {
        let object = object_file::read(&file.path)?;
        object_file::has_program(source.artifact.path.as_ref(), &object)?;
        manifest.map_or(Ok(()), |manifest| manifest.check_object(&object))?;
    }
    Ok(compiled)
}

/// Refuses a source that is no longer what its digest in the report says: clang read the file.
fn unchanged(source: &PlannedArtifact) -> Result<(), Error> {
    let path = &source.file.path;
    let found = digest::of_file(path).map_err(|source| Error::Read {
        path: path.clone(),
        source,
    })?;
    if found == source.file.sha256 {
        return Ok(());
    }
    Err(Error::Changed { path: path.clone() })
}

/// The directory with the `vmlinux.h` of each architecture.
fn headers(
    compilation: &Compilation,
    arches: BTreeSet<Arch>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<BTreeMap<Arch, PathBuf>, Error> {
    let Some(source) = &compilation.vmlinux_h else {
        return Ok(BTreeMap::new());
    };
    let cache = catalogue.cache();
    let header = |arch| -> Result<PathBuf, Error> {
        match source {
            vmlinux::Source::File(file) => {
                Ok(vmlinux::of_file(file, cache).map_err(compile::Error::from)?)
            }
            vmlinux::Source::Auto => {
                let kernel =
                    vmlinux::kernel(catalogue.lock(), arch).map_err(compile::Error::from)?;
                let prepared = catalogue.prepare(kernel, progress);
                let prepared = prepared.map_err(|source| Error::Kernel {
                    kernel: kernel.name.clone(),
                    source: Box::new(source),
                })?;
                let image = &prepared.kernel.image;
                Ok(vmlinux::of_image(image, cache).map_err(compile::Error::from)?)
            }
        }
    };
    let arches = arches.into_iter();
    arches.map(|arch| Ok((arch, header(arch)?))).collect()
}

#[cfg(test)]
mod tests {
    use ukci_schema::cell::Cell;
    use ukci_schema::verdict::Expectation;

    use super::*;

    fn artifact(name: &str, form: Form) -> Artifact {
        serde_json::from_value(serde_json::json!({
            "name": name, "path": name, "sha256": "0".repeat(64), "size": 0, "form": form,
        }))
        .unwrap()
    }

    fn planned(artifact: &str, llvm: Option<&str>) -> PlannedCell {
        serde_json::from_value(serde_json::json!({
            "cell": Cell {
                artifact: artifact.into(),
                kernel: "k".into(),
                llvm: llvm.map(str::to_owned),
                arch: Arch::X86_64,
                btf: None,
            },
            "expected": Expectation::default(),
            "required": true, "memory": 256, "cpus": 1,
        }))
        .unwrap()
    }

    fn spread_to(cells: &[(&str, Option<&str>)], asked: &[&str]) -> Result<Vec<String>, Error> {
        let artifacts = [artifact("c", Form::Source), artifact("o", Form::Object)];
        let mut cells: Vec<PlannedCell> = cells.iter().map(|(a, l)| planned(a, *l)).collect();
        let asked: Vec<String> = asked.iter().map(|&llvm| llvm.to_owned()).collect();
        spread(&mut cells, &artifacts, &asked)?;
        Ok(cells.iter().map(|p| p.cell.id()).collect())
    }

    #[test]
    fn sources_are_spread_over_llvms_and_objects_are_not() {
        let plain = [("c", None), ("o", None)];
        assert_eq!(
            spread_to(&plain, &["14", "19"]).unwrap(),
            ["c/k/x86_64/llvm-14", "c/k/x86_64/llvm-19", "o/k/x86_64"]
        );
        let of_matrix = [("c", Some("14")), ("c", Some("19")), ("o", None)];
        assert_eq!(spread_to(&of_matrix, &[]).unwrap().len(), 3);
        assert_eq!(
            spread_to(&of_matrix, &["19"]).unwrap(),
            ["c/k/x86_64/llvm-19", "o/k/x86_64"]
        );
        let error = spread_to(&of_matrix, &["22"]).unwrap_err();
        insta::assert_snapshot!(error, @"the matrix has no LLVM 22, only 14, 19");
    }

    #[test]
    fn an_llvm_for_nothing_is_an_error() {
        let mut cells = vec![planned("o", None)];
        let objects = [artifact("o", Form::Object)];
        assert!(spread(&mut cells, &objects, &[]).is_ok());
        assert!(spread(&mut cells, &objects, &["19".to_owned()]).is_err());
    }
}
