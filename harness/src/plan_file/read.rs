//! Reads a plan, and checks its structure, its consistency, and the digest of every file that it
//! names.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use ukci_schema::artifact::Form;
use ukci_schema::cell::kernel_key;
use ukci_schema::plan::{FileRef, Plan, PlannedObject, SCHEMA};

use crate::catalogue::{self, digest};
use crate::input_file;
use crate::resolve;

/// Why a plan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not the JSON that it should be.
    #[error("`{}` is not a file of schema `{schema}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        schema: &'static str,
        /// Line, column and what is wrong.
        source: serde_json::Error,
    },
    /// It has another shape than this version reads.
    #[error("`{}` has the schema `{found}`, and `{schema}` was expected", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// What it should be.
        schema: &'static str,
    },
    /// A file of the plan is not what was planned.
    #[error(
        "`{}` is not the {what} that was planned: its SHA-256 is {found}, and the plan has {expected}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
        /// The digest in the plan.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// The plan contradicts itself, or lacks something.
    #[error("the plan cannot be run: {0}")]
    Inconsistent(String),
    /// A kernel's directory cannot be used.
    #[error("kernel `{kernel}` cannot be used")]
    Kernel {
        /// Its name.
        kernel: String,
        /// Why not.
        source: Box<catalogue::Error>,
    },
    /// A manifest does not fit its artifact or the matrix.
    #[error("the manifest of `{artifact}` cannot be used")]
    Manifest {
        /// The artifact's name.
        artifact: String,
        /// Why not.
        source: Box<resolve::Error>,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } => {
                Some("write the plan again, with `ukci plan` or with Nix".into())
            }
            Self::Schema { .. } | Self::Json { .. } => {
                Some("use the `ukci` that wrote it, or write it again with `ukci plan`".into())
            }
            Self::Kernel { source, .. } => source.hint(),
            Self::Manifest { source, .. } => source.hint(),
            Self::Read { .. } | Self::Inconsistent(_) => None,
        }
    }
}

/// Reads a plan, and every file that it names.
pub fn read(path: &Path) -> Result<Plan, Error> {
    let plan: Plan = parse(path, SCHEMA)?;
    check(&plan)?;
    for (what, file) in files(&plan) {
        let found = digest::of_file(&file.path).map_err(|source| Error::Read {
            path: file.path.clone(),
            source,
        })?;
        if found != file.sha256 {
            return Err(Error::Changed {
                path: file.path.clone(),
                what,
                expected: file.sha256.clone(),
                found,
            });
        }
    }
    Ok(plan)
}

/// Reads JSON and looks at what it says it is before anything else.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, schema: &'static str) -> Result<T, Error> {
    let bytes = File::open(path)
        .and_then(|file| input_file::read_stream(file, input_file::DOCUMENT_LIMIT))
        .map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
    let json = |source| Error::Json {
        path: path.to_owned(),
        schema,
        source,
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(json)?;
    let found = value.get("schema").and_then(|found| found.as_str());
    match found {
        Some(found) if found != schema => Err(Error::Schema {
            path: path.to_owned(),
            found: found.to_owned(),
            schema,
        }),
        // From the text, so that the error has a line.
        _ => serde_json::from_slice(&bytes).map_err(json),
    }
}

/// Every file of a plan, and what it is to people.
fn files(plan: &Plan) -> Vec<(String, &FileRef)> {
    let mut files = Vec::new();
    for (name, planned) in &plan.artifacts {
        files.push((format!("artifact `{name}`"), &planned.file));
        for (companion, file) in &planned.companions {
            files.push((format!("`{companion}` of `{name}`"), file));
        }
    }
    for (key, object) in &plan.objects {
        if let PlannedObject::Object { file, .. } = object {
            files.push((format!("object `{key}`"), file));
        }
    }
    for (key, kernel) in &plan.kernels {
        files.push((format!("image of `{key}`"), &kernel.image));
        files.push((format!("initramfs segment of `{key}`"), &kernel.segment));
        if let Some(modules) = &kernel.modules {
            files.push((format!("modules of `{key}`"), modules));
        }
    }
    for (arch, agent) in &plan.agents {
        files.push((format!("agent for {arch}"), agent));
    }
    files
}

/// Checks what a plan from a file can get wrong and a resolved one cannot.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    let wrong = |message: String| Err(Error::Inconsistent(message));
    if plan.cells.is_empty() {
        return wrong("it has no cells".into());
    }
    for (key, planned) in &plan.artifacts {
        let artifact = &planned.artifact;
        if *key != artifact.name {
            return wrong(format!("artifact `{key}` is named `{}`", artifact.name));
        }
        if artifact.sha256 != planned.file.sha256 {
            return wrong(format!("artifact `{key}` has two digests"));
        }
    }
    for (key, kernel) in &plan.kernels {
        let named = kernel_key(&kernel.name, kernel.arch);
        if *key != named {
            return wrong(format!("kernel `{key}` is `{named}`"));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for planned in &plan.cells {
        let cell = &planned.cell;
        let lacks = |what: &str, name: &str| {
            wrong(format!(
                "it has no {what} `{name}`, which cell `{cell}` needs"
            ))
        };
        if !plan.artifacts.contains_key(&cell.artifact) {
            return lacks("artifact", &cell.artifact);
        }
        let form = plan.artifacts[&cell.artifact].artifact.form;
        match cell.object_key() {
            None if form == Form::Source => return lacks("LLVM for source", &cell.artifact),
            Some(key) if !plan.objects.contains_key(&key) => return lacks("object", &key),
            _ => {}
        }
        if !plan.kernels.contains_key(&cell.kernel_key()) {
            return lacks("kernel", &cell.kernel_key());
        }
        if !plan.agents.contains_key(&cell.arch) {
            return lacks("agent", cell.arch.name());
        }
        if !seen.insert(cell) {
            return wrong(format!("it has cell `{cell}` twice"));
        }
    }
    Ok(())
}
