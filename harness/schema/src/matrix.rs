//! The authored file: which kernels, LLVMs and architectures, and what is expected of them.
//!
//! The cells are the union of the `[[cells]]` products (kernels × LLVMs × architectures), minus
//! every cell that an `[[exclude]]` covers; `[[expect]]` says what is expected of those it
//! covers, the last one winning. A rule covers a cell when each axis that it names is equal.
//! A rule that names no axis, or covers no cell, is an error: a stale expectation is a lie.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::artifact::{Artifact, Form};
use crate::authored::{self, AuthoredError, Format, Node, Path, Place, instead_of};
use crate::cell::{Arch, Cell};
use crate::diagnosis::Code;
use crate::plan::PlannedCell;
use crate::verdict::{Expectation, VerdictKind};

/// Guest memory where nobody says otherwise, in MiB.
pub const MEMORY: u32 = 256;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authored {
    #[serde(default)]
    memory: Option<u32>,
    #[serde(default)]
    cpus: Option<u32>,
    #[serde(default)]
    cmdline: Vec<String>,
    #[serde(default)]
    sysctl: Vec<String>,
    #[serde(default)]
    cells: Vec<Product>,
    #[serde(default)]
    exclude: Vec<Exclude>,
    #[serde(default)]
    expect: Vec<Expect>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    kernels: Vec<String>,
    #[serde(default)]
    llvms: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    memory: Option<u32>,
    #[serde(default)]
    cpus: Option<u32>,
    #[serde(default)]
    required: Option<bool>,
}

/// The axes that a rule may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Axes<'a> {
    artifact: Option<&'a str>,
    kernel: Option<&'a str>,
    llvm: Option<&'a str>,
    arch: Option<&'a str>,
}

impl Axes<'_> {
    fn is_empty(&self) -> bool {
        *self == Axes::default()
    }

    fn cover(&self, cell: &Cell) -> bool {
        self.artifact.is_none_or(|name| name == cell.artifact)
            && self.kernel.is_none_or(|name| name == cell.kernel)
            && self
                .llvm
                .is_none_or(|name| Some(name) == cell.llvm.as_deref())
            && self.arch.is_none_or(|name| name == cell.arch.name())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    #[serde(default)]
    artifact: Option<String>,
    #[serde(default)]
    kernel: Option<String>,
    #[serde(default)]
    llvm: Option<String>,
    #[serde(default)]
    arch: Option<String>,
    /// For the reader of the file.
    #[serde(rename = "reason")]
    _reason: String,
}

impl Exclude {
    fn axes(&self) -> Axes<'_> {
        Axes {
            artifact: self.artifact.as_deref(),
            kernel: self.kernel.as_deref(),
            llvm: self.llvm.as_deref(),
            arch: self.arch.as_deref(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    artifact: Option<String>,
    #[serde(default)]
    kernel: Option<String>,
    #[serde(default)]
    llvm: Option<String>,
    #[serde(default)]
    arch: Option<String>,
    verdict: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    required: Option<bool>,
    reason: String,
}

impl Expect {
    fn axes(&self) -> Axes<'_> {
        Axes {
            artifact: self.artifact.as_deref(),
            kernel: self.kernel.as_deref(),
            llvm: self.llvm.as_deref(),
            arch: self.arch.as_deref(),
        }
    }
}

/// A matrix that was read; its names are not yet looked up.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Its name: the file's without `.toml`.
    pub name: String,
    file: String,
    text: String,
    tree: Node,
    authored: Authored,
}

/// A kernel that a matrix may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKernel<'a> {
    /// Its name in the catalogue.
    pub name: &'a str,
    /// An architecture it is locked for.
    pub arch: Arch,
}

/// A matrix with artifacts: cells in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The cells.
    pub cells: Vec<PlannedCell>,
    /// How many were excluded.
    pub excluded: usize,
}

/// What is wrong with a matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// It could not be read.
    #[error(transparent)]
    Authored(#[from] AuthoredError),
    /// It was read, and does not make sense.
    #[error("{message}\n  at {at}{}", at.excerpt())]
    Meaning {
        /// Where.
        at: Box<Place>,
        /// What is wrong.
        message: String,
        /// An action that may help.
        hint: Option<String>,
    },
}

impl MatrixError {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Authored(error) => error.hint().or_else(|| version_hint(error)),
            Self::Meaning { hint, .. } => hint.clone(),
        }
    }
}

/// `6.10` without quotes is the number 6.1 to TOML.
fn version_hint(error: &AuthoredError) -> Option<String> {
    let AuthoredError::Value { message, .. } = error else {
        return None;
    };
    (message.contains("string") || message.contains("text")).then(|| {
        "versions are strings, since TOML reads 6.10 as 6.1: put them in quotes".to_owned()
    })
}

impl Matrix {
    /// Reads a matrix. `file_name` is for messages, and names the matrix.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, MatrixError> {
        let tree = authored::tree(text, file_name, Format::Toml)?;
        let authored: Authored = authored::value(&tree, text, file_name)?;
        let stem = file_name.rsplit('/').next().unwrap_or(file_name);
        let matrix = Self {
            name: stem.strip_suffix(".toml").unwrap_or(stem).to_owned(),
            file: file_name.to_owned(),
            text: text.to_owned(),
            tree,
            authored,
        };
        if matrix.authored.cells.is_empty() {
            let hint = "add `[[cells]]` with `kernels = […]`".to_owned();
            return Err(matrix.wrong(&Path::default(), "the matrix has no cells", Some(hint)));
        }
        for (n, product) in matrix.authored.cells.iter().enumerate() {
            if product.kernels.is_empty() {
                let path = Path::from("cells").then(n);
                return Err(matrix.wrong(&path, "these cells name no kernel", None));
            }
        }
        for (n, setting) in matrix.authored.sysctl.iter().enumerate() {
            if !setting.contains('=') {
                let path = Path::from("sysctl").then(n);
                let message = format!("sysctl `{setting}` is not `key=value`");
                return Err(matrix.wrong(&path, &message, None));
            }
        }
        Ok(matrix)
    }

    /// Kernel arguments that it adds to those of the devices.
    pub fn cmdline(&self) -> &[String] {
        &self.authored.cmdline
    }

    /// Settings that the agent applies, `key=value`.
    pub fn sysctl(&self) -> &[String] {
        &self.authored.sysctl
    }

    /// Every kernel that it names, once, in the order of the file.
    pub fn kernels(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self
            .authored
            .cells
            .iter()
            .flat_map(|product| &product.kernels)
        {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    fn wrong(&self, path: &Path, message: &str, hint: Option<String>) -> MatrixError {
        MatrixError::Meaning {
            at: Place::new(&self.file, &self.text, self.tree.span_of(path)).into(),
            message: message.to_owned(),
            hint,
        }
    }

    /// The cells of these artifacts. Kernels must be among `known`; an architecture that is not
    /// named is `x86_64`.
    pub fn expand(
        &self,
        artifacts: &[Artifact],
        known: &[KnownKernel<'_>],
    ) -> Result<Expansion, MatrixError> {
        let mut cells: Vec<PlannedCell> = Vec::new();
        let mut seen = BTreeSet::new();
        for artifact in artifacts {
            for (n, product) in self.authored.cells.iter().enumerate() {
                let path = Path::from("cells").then(n);
                for cell in self.product(&path, product, artifact, known)? {
                    if seen.insert(cell.cell.clone()) {
                        cells.push(cell);
                    }
                }
            }
        }
        let all = cells.len();
        for (n, exclude) in self.authored.exclude.iter().enumerate() {
            let path = Path::from("exclude").then(n);
            self.check_rule(&path, &exclude.axes(), artifacts, &seen)?;
            cells.retain(|planned| !exclude.axes().cover(&planned.cell));
        }
        let excluded = all - cells.len();
        for (n, expect) in self.authored.expect.iter().enumerate() {
            let path = Path::from("expect").then(n);
            self.check_rule(&path, &expect.axes(), artifacts, &seen)?;
            let expectation = self.expectation(&path, expect)?;
            for planned in cells.iter_mut().filter(|p| expect.axes().cover(&p.cell)) {
                planned.expected = expectation.clone();
                planned.required = expect.required.unwrap_or(planned.required);
            }
        }
        Ok(Expansion { cells, excluded })
    }

    fn product(
        &self,
        path: &Path,
        product: &Product,
        artifact: &Artifact,
        known: &[KnownKernel<'_>],
    ) -> Result<Vec<PlannedCell>, MatrixError> {
        let mut arches = Vec::new();
        for (n, name) in product.arches.iter().enumerate() {
            let arch: Arch = name.parse().map_err(|error: crate::cell::UnknownArch| {
                let names = Arch::ALL.map(Arch::name);
                let path = path.then("arches").then(n);
                self.wrong(&path, &error.to_string(), instead_of(name, &names))
            })?;
            arches.push(arch);
        }
        if arches.is_empty() {
            arches.push(Arch::X86_64);
        }
        let llvms: Vec<Option<String>> = match artifact.form {
            Form::Source if !product.llvms.is_empty() => {
                product.llvms.iter().cloned().map(Some).collect()
            }
            Form::Source | Form::Object => vec![None],
        };
        let mut cells = Vec::new();
        for (n, kernel) in product.kernels.iter().enumerate() {
            for arch in &arches {
                let exists = known.iter().any(|k| k.name == kernel && k.arch == *arch);
                if !exists {
                    let path = path.then("kernels").then(n);
                    return Err(self.unknown_kernel(&path, kernel, *arch, known));
                }
                for llvm in &llvms {
                    cells.push(PlannedCell {
                        cell: Cell {
                            artifact: artifact.name.clone(),
                            kernel: kernel.clone(),
                            llvm: llvm.clone(),
                            arch: *arch,
                        },
                        expected: Expectation::default(),
                        required: product.required.unwrap_or(true),
                        memory: product.memory.or(self.authored.memory).unwrap_or(MEMORY),
                        cpus: product.cpus.or(self.authored.cpus).unwrap_or(1),
                    });
                }
            }
        }
        Ok(cells)
    }

    fn unknown_kernel(
        &self,
        path: &Path,
        name: &str,
        arch: Arch,
        known: &[KnownKernel<'_>],
    ) -> MatrixError {
        let elsewhere = known.iter().any(|kernel| kernel.name == name);
        let names: BTreeSet<&str> = known
            .iter()
            .filter(|k| !elsewhere || k.arch == arch)
            .map(|k| k.name)
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let message = if elsewhere {
            format!("kernel `{name}` is not locked for {arch}")
        } else {
            format!("unknown kernel `{name}`")
        };
        let hint =
            instead_of(name, &names).or_else(|| Some("`ukci kernels list` names them".into()));
        self.wrong(path, &message, hint)
    }

    /// A rule must name an axis, and be able to cover a cell of the matrix. That an artifact is
    /// not part of this run makes no rule wrong.
    fn check_rule(
        &self,
        path: &Path,
        axes: &Axes<'_>,
        artifacts: &[Artifact],
        cells: &BTreeSet<Cell>,
    ) -> Result<(), MatrixError> {
        if axes.is_empty() {
            let hint = "name at least one of `artifact`, `kernel`, `llvm`, `arch`".to_owned();
            return Err(self.wrong(path, "this rule names no axis", Some(hint)));
        }
        let absent = axes
            .artifact
            .is_some_and(|name| artifacts.iter().all(|a| a.name != name));
        let prebuilt = artifacts
            .iter()
            .all(|artifact| artifact.form == Form::Object);
        let axes = Axes {
            artifact: axes.artifact.filter(|_| !absent),
            // A prebuilt object collapses the axis.
            llvm: axes.llvm.filter(|_| !prebuilt),
            ..*axes
        };
        if !axes.is_empty() && !cells.iter().any(|cell| axes.cover(cell)) {
            let mut names: Vec<&str> = Vec::new();
            if let Some(kernel) = axes.kernel {
                let kernels: Vec<&str> = self.kernels();
                if !kernels.contains(&kernel) {
                    names = kernels;
                }
            }
            let hint = axes.kernel.and_then(|kernel| instead_of(kernel, &names));
            return Err(self.wrong(path, "this rule covers no cell", hint));
        }
        Ok(())
    }

    fn expectation(&self, path: &Path, expect: &Expect) -> Result<Expectation, MatrixError> {
        let verdict = match expect.verdict.as_str() {
            "pass" => VerdictKind::Pass,
            "fail" => VerdictKind::Fail,
            other => {
                let message = format!("a matrix expects `pass` or `fail`, not `{other}`");
                let hint = instead_of(other, &["pass", "fail"]);
                return Err(self.wrong(&path.then("verdict"), &message, hint));
            }
        };
        let code = match &expect.code {
            None => None,
            Some(name) => Some(name.parse::<Code>().map_err(|error| {
                let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
                self.wrong(
                    &path.then("code"),
                    &error.to_string(),
                    instead_of(name, &names),
                )
            })?),
        };
        if verdict == VerdictKind::Pass && code.is_some() {
            return Err(self.wrong(&path.then("code"), "a pass has no code", None));
        }
        if verdict == VerdictKind::Fail && code.is_none() {
            let hint = "add `code = \"…\"`; `ukci explain` lists them".to_owned();
            return Err(self.wrong(path, "an expected failure needs its code", Some(hint)));
        }
        Ok(Expectation {
            verdict,
            code,
            reason: Some(expect.reason.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{KnownKernel, Matrix, MatrixError};
    use crate::artifact::{Artifact, Form};
    use crate::cell::Arch;

    const KNOWN: &[KnownKernel<'_>] = &[
        KnownKernel {
            name: "debian-11-5.10",
            arch: Arch::X86_64,
        },
        KnownKernel {
            name: "debian-12-6.1",
            arch: Arch::X86_64,
        },
        KnownKernel {
            name: "debian-12-6.1",
            arch: Arch::Aarch64,
        },
    ];

    fn artifact(form: Form) -> Artifact {
        Artifact {
            name: "x".into(),
            path: "x.bpf.o".into(),
            sha256: String::new(),
            size: 0,
            form,
        }
    }

    fn expand(text: &str, form: Form) -> Result<Vec<String>, MatrixError> {
        let matrix = Matrix::parse(text, "matrices/full.toml")?;
        let expansion = matrix.expand(&[artifact(form)], KNOWN)?;
        Ok(expansion
            .cells
            .iter()
            .map(|planned| {
                let code = planned
                    .expected
                    .code
                    .map(|code| format!(" {code}"))
                    .unwrap_or_default();
                format!("{}{code}", planned.cell)
            })
            .collect())
    }

    fn refusal(text: &str) -> String {
        let error = expand(text, Form::Object).unwrap_err();
        let hint = error
            .hint()
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        format!("{error}{hint}")
    }

    #[test]
    fn cells_are_products_minus_exclusions() {
        let text = r#"
            [[cells]]
            kernels = ["debian-11-5.10", "debian-12-6.1"]
            llvms = ["16", "22"]
            [[cells]]
            kernels = ["debian-12-6.1"]
            llvms = ["22"]
            arches = ["x86_64", "aarch64"]
            [[exclude]]
            kernel = "debian-11-5.10"
            llvm = "16"
            reason = "old with old"
            [[expect]]
            kernel = "debian-11-5.10"
            verdict = "fail"
            code = "UNSUPPORTED_HELPER"
            reason = "bpf_loop"
        "#;
        assert_eq!(
            expand(text, Form::Source).unwrap(),
            [
                "x/debian-11-5.10/x86_64/llvm-22 UNSUPPORTED_HELPER",
                "x/debian-12-6.1/x86_64/llvm-16",
                "x/debian-12-6.1/x86_64/llvm-22",
                "x/debian-12-6.1/aarch64/llvm-22",
            ]
        );
    }

    #[test]
    fn a_prebuilt_object_collapses_the_llvm_axis() {
        let text = "[[cells]]\nkernels = [\"debian-12-6.1\"]\nllvms = [\"16\", \"22\"]\n";
        assert_eq!(
            expand(text, Form::Object).unwrap(),
            ["x/debian-12-6.1/x86_64"]
        );
    }

    #[test]
    fn mistakes_have_a_place_and_a_hint() {
        insta::assert_snapshot!(refusal("[[cells]]\nkernels = [\"debian-12-6.2\"]\n"));
        insta::assert_snapshot!(refusal("[[cells]]\nkernels = [6.1]\n"));
        insta::assert_snapshot!(refusal("[[cells]]\nkernals = [\"debian-12-6.1\"]\n"));
        let base = "[[cells]]\nkernels = [\"debian-12-6.1\"]\n";
        insta::assert_snapshot!(refusal(&format!(
            "{base}[[exclude]]\nkernel = \"debian-11-5.10\"\nreason = \"stale\"\n"
        )));
        insta::assert_snapshot!(refusal(&format!("{base}[[exclude]]\nreason = \"all\"\n")));
        insta::assert_snapshot!(refusal(&format!(
            "{base}[[expect]]\nkernel = \"debian-12-6.1\"\nverdict = \"fail\"\ncode = \"VERIFIER_REJECTED\"\nreason = \"x\"\n"
        )));
        insta::assert_snapshot!(refusal(""));
    }
}
