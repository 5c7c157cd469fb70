//! From the authored products to cells, and which rules cover what.

use std::collections::{BTreeMap, BTreeSet};

use super::{Axes, CPUS, Expansion, Expect, KnownKernel, MEMORY, Matrix, MatrixError, Product};
use crate::artifact::{Artifact, Form};
use crate::authored::{Path, instead_of};
use crate::cell::{Arch, Cell};
use crate::diagnosis::Code;
use crate::plan::PlannedCell;
use crate::verdict::{Expectation, VerdictKind};

/// A point of the products, whatever the artifacts are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    kernel: String,
    llvm: Option<String>,
    arch: Arch,
}

impl Axes<'_> {
    fn is_empty(&self) -> bool {
        *self == Axes::default()
    }

    fn is_about(&self, artifact: &str) -> bool {
        self.artifact.is_none_or(|name| name == artifact)
    }

    /// Whether the axes but the artifact are equal.
    fn cover_point(&self, kernel: &str, llvm: Option<&str>, arch: Arch) -> bool {
        self.kernel.is_none_or(|name| name == kernel)
            && self.llvm.is_none_or(|name| Some(name) == llvm)
            && self.arch.is_none_or(|name| name == arch.name())
    }

    fn cover(&self, cell: &Cell) -> bool {
        self.is_about(&cell.artifact)
            && self.cover_point(&cell.kernel, cell.llvm.as_deref(), cell.arch)
    }
}

impl Matrix {
    /// The cells of these artifacts. Kernels must be among `known`; an architecture that is not
    /// named is `x86_64`.
    ///
    /// A rule must cover a point of the authored products, whichever artifacts are run. One that
    /// names an artifact which is not of this run is [idle](Expansion::idle): the same matrix
    /// serves runs of one artifact and of all.
    pub fn expand(
        &self,
        artifacts: &[Artifact],
        known: &[KnownKernel<'_>],
    ) -> Result<Expansion, MatrixError> {
        let products: Vec<(Path, &Product, Vec<Point>)> = (self.authored.cells.iter().enumerate())
            .map(|(n, product)| {
                let path = Path::from("cells").then(n);
                let points = self.points(&path, product, known)?;
                Ok((path, product, points))
            })
            .collect::<Result<_, MatrixError>>()?;
        let expectations = self.check_rules(&products)?;

        let without: Vec<Axes<'_>> = self.authored.exclude.iter().map(|e| e.axes()).collect();
        let mut cells = Vec::new();
        let mut excluded = 0;
        for artifact in artifacts {
            for mut planned in self.cells_of(artifact, &products)? {
                if without.iter().any(|axes| axes.cover(&planned.cell)) {
                    excluded += 1;
                    continue;
                }
                for (expect, expectation) in self.authored.expect.iter().zip(&expectations) {
                    if expect.axes().cover(&planned.cell) {
                        planned.expected = expectation.clone();
                        planned.required = expect.required.unwrap_or(planned.required);
                    }
                }
                cells.push(planned);
            }
        }
        let idle = self.idle(artifacts);
        Ok(Expansion {
            cells,
            excluded,
            idle,
        })
    }

    /// The product of one `[[cells]]`, LLVMs included, in the order of the file.
    fn points(
        &self,
        path: &Path,
        product: &Product,
        known: &[KnownKernel<'_>],
    ) -> Result<Vec<Point>, MatrixError> {
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
        let mut llvms: Vec<Option<String>> = product.llvms.iter().cloned().map(Some).collect();
        if llvms.is_empty() {
            llvms.push(None);
        }
        let mut points = Vec::with_capacity(product.kernels.len() * llvms.len() * arches.len());
        for (n, name) in product.kernels.iter().enumerate() {
            let before = points.len();
            let at = || path.then("kernels").then(n);
            for &arch in &arches {
                let kernels = self
                    .groups
                    .expand(name, arch, known)
                    .ok_or_else(|| self.unknown_group(&at(), name))?;
                for kernel in kernels {
                    if !known.iter().any(|k| k.name == kernel && k.arch == arch) {
                        return Err(self.unknown_kernel(&at(), kernel, arch, known));
                    }
                    points.extend(llvms.iter().map(|llvm| Point {
                        kernel: kernel.to_owned(),
                        llvm: llvm.clone(),
                        arch,
                    }));
                }
            }
            if points.len() == before {
                let message = format!("no kernel of group `{name}` is locked for these arches");
                return Err(self.wrong(&at(), &message, None));
            }
        }
        Ok(points)
    }

    /// An artifact's cells, each once. A cell that two `[[cells]]` name must be the same in both.
    fn cells_of(
        &self,
        artifact: &Artifact,
        products: &[(Path, &Product, Vec<Point>)],
    ) -> Result<Vec<PlannedCell>, MatrixError> {
        let mut cells: Vec<PlannedCell> = Vec::new();
        let mut seen: BTreeMap<Cell, usize> = BTreeMap::new();
        for (path, product, points) in products {
            for point in points {
                let planned = PlannedCell {
                    required: product.required.unwrap_or(true),
                    memory: product.memory.or(self.authored.memory).unwrap_or(MEMORY),
                    cpus: product.cpus.or(self.authored.cpus).unwrap_or(CPUS),
                    ..PlannedCell::new(Cell {
                        artifact: artifact.name.clone(),
                        kernel: point.kernel.clone(),
                        // A prebuilt object collapses the axis.
                        llvm: point.llvm.clone().filter(|_| artifact.form == Form::Source),
                        arch: point.arch,
                    })
                };
                let Some(&n) = seen.get(&planned.cell) else {
                    seen.insert(planned.cell.clone(), cells.len());
                    cells.push(planned);
                    continue;
                };
                let other = &cells[n];
                if *other != planned {
                    let key = if other.memory != planned.memory {
                        "memory"
                    } else if other.cpus != planned.cpus {
                        "cpus"
                    } else {
                        "required"
                    };
                    let message =
                        format!("earlier cells have `{}` with another `{key}`", planned.cell);
                    let hint = Some("name each cell once".to_owned());
                    return Err(self.wrong(path, &message, hint));
                }
            }
        }
        Ok(cells)
    }

    fn unknown_group(&self, path: &Path, name: &str) -> MatrixError {
        let names = self.groups.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = instead_of(name, &names)
            .or_else(|| Some("`kernels/streams.toml` defines the groups".to_owned()));
        self.wrong(path, &format!("unknown group `{name}`"), hint)
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

    /// Checks that each rule names an axis and covers something, and reads the expectations.
    fn check_rules(
        &self,
        products: &[(Path, &Product, Vec<Point>)],
    ) -> Result<Vec<Expectation>, MatrixError> {
        let all: BTreeSet<&Point> = products.iter().flat_map(|(_, _, p)| p).collect();
        let mut left = all.clone();
        for (n, exclude) in self.authored.exclude.iter().enumerate() {
            let path = Path::from("exclude").then(n);
            self.check_rule(&path, &exclude.axes(), &exclude.reason, &all, &all)?;
        }
        for exclude in &self.authored.exclude {
            let axes = exclude.axes();
            if axes.artifact.is_none() {
                left.retain(|p| !axes.cover_point(&p.kernel, p.llvm.as_deref(), p.arch));
            }
        }
        let mut expectations = Vec::new();
        for (n, expect) in self.authored.expect.iter().enumerate() {
            let path = Path::from("expect").then(n);
            self.check_rule(&path, &expect.axes(), &expect.reason, &left, &all)?;
            expectations.push(self.expectation(&path, expect)?);
        }
        Ok(expectations)
    }

    fn check_rule(
        &self,
        path: &Path,
        axes: &Axes<'_>,
        reason: &str,
        left: &BTreeSet<&Point>,
        all: &BTreeSet<&Point>,
    ) -> Result<(), MatrixError> {
        if axes.is_empty() {
            let hint = "name at least one of `artifact`, `kernel`, `llvm`, `arch`".to_owned();
            return Err(self.wrong(path, "this rule names no axis", Some(hint)));
        }
        if reason.trim().is_empty() {
            let hint = "say why, for those who read the matrix next year".to_owned();
            return Err(self.wrong(&path.then("reason"), "the reason is empty", Some(hint)));
        }
        let covered = |p: &&Point| axes.cover_point(&p.kernel, p.llvm.as_deref(), p.arch);
        if left.iter().any(covered) {
            return Ok(());
        }
        if all.iter().any(covered) {
            let hint = "every cell that it covers is excluded".to_owned();
            return Err(self.wrong(path, "this rule covers no cell", Some(hint)));
        }
        let (at, hint) = why_nothing(path, axes, all);
        Err(self.wrong(&at, "this rule covers no cell", Some(hint)))
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
                let wanted = name.to_uppercase().replace('-', "_");
                let hint = instead_of(&wanted, &names)
                    .or_else(|| Some("`ukci explain` lists them".to_owned()));
                self.wrong(&path.then("code"), &error.to_string(), hint)
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

    /// One sentence for each rule that names an artifact which is not of this run.
    fn idle(&self, artifacts: &[Artifact]) -> Vec<String> {
        let here: Vec<&str> = artifacts.iter().map(|a| a.name.as_str()).collect();
        let rules = |axes: &'static str, named: Vec<Option<&str>>| {
            let idle = named.into_iter().enumerate().filter_map(|(n, named)| {
                let named = named.filter(|name| !here.contains(name))?;
                let place = self.place(&Path::from(axes).then(n));
                Some(format!(
                    "the rule at {place} names artifact `{named}`, which is not of this run"
                ))
            });
            idle.collect::<Vec<String>>()
        };
        let excludes = self.authored.exclude.iter();
        let expects = self.authored.expect.iter();
        let mut idle = rules("exclude", excludes.map(|e| e.axes().artifact).collect());
        idle.extend(rules(
            "expect",
            expects.map(|e| e.axes().artifact).collect(),
        ));
        idle
    }
}

/// The value of a point on one axis.
type Value = fn(&Point) -> Option<&str>;

/// Which axis of a rule has a value that no point has, and what there is instead.
fn why_nothing(path: &Path, axes: &Axes<'_>, points: &BTreeSet<&Point>) -> (Path, String) {
    let named: [(&'static str, Option<&str>, Value); 3] = [
        ("kernel", axes.kernel, |point| Some(&point.kernel)),
        ("llvm", axes.llvm, |point| point.llvm.as_deref()),
        ("arch", axes.arch, |point| Some(point.arch.name())),
    ];
    for (axis, named, value) in named {
        let Some(named) = named else { continue };
        let there: BTreeSet<&str> = points.iter().filter_map(|point| value(point)).collect();
        if there.contains(named) {
            continue;
        }
        let there: Vec<&str> = there.into_iter().collect();
        let hint =
            instead_of(named, &there).unwrap_or_else(|| format!("no cell has {axis} `{named}`"));
        return (path.then(axis), hint);
    }
    let hint =
        "no cell that is left has all that it names; is it excluded, or in other `[[cells]]`?";
    (path.clone(), hint.to_owned())
}
