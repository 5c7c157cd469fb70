//! Expands the products of a matrix to cells.

use std::collections::{BTreeMap, BTreeSet};

use super::{Expansion, KnownKernel, Matrix, MatrixError, Product};
use crate::authored::{Path, instead_of};
use crate::scope::{Scope, unknown_group};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::lock::VERSION_MARK;
use ukci_schema::plan::{CPUS, MEMORY, PlannedCell};

/// A point of the products, whatever the artifacts are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) kernel: String,
    pub(super) llvm: Option<String>,
    pub(super) arch: Arch,
}

impl Matrix {
    /// The cells of these artifacts. Kernels must be among `known`; an architecture that is not
    /// named is `x86_64`.
    ///
    /// A rule must cover a point of the authored products, whichever artifacts are run. One that
    /// names an artifact which is not part of this run only brings a [warning](Expansion::warnings):
    /// the same matrix serves runs of one artifact and of all.
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
        let rules = self.rules(&products)?;

        let mut cells = Vec::new();
        let mut excluded = 0;
        for artifact in artifacts {
            for mut planned in self.cells_of(artifact, &products)? {
                let covers = |scope: &Scope<'_>| scope.covers(&planned.cell, &self.groups);
                if rules.exclude.iter().any(covers) {
                    excluded += 1;
                    continue;
                }
                for (scope, expectation, required) in &rules.expect {
                    if scope.covers(&planned.cell, &self.groups) {
                        planned.expected = expectation.clone();
                        planned.required = required.unwrap_or(planned.required);
                    }
                }
                cells.push(planned);
            }
        }
        let mut warnings = self.old_words.clone().into_iter().collect::<Vec<String>>();
        warnings.extend(self.idle(artifacts));
        Ok(Expansion {
            cells,
            excluded,
            warnings,
        })
    }

    /// The product of one `[[cells]]`, LLVMs included, in the order of the file.
    fn points(
        &self,
        path: &Path,
        product: &Product,
        known: &[KnownKernel<'_>],
    ) -> Result<Vec<Point>, MatrixError> {
        let mut arches = product.arches.to_vec();
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
                let kernels = self.groups.expand(name, arch, known).ok_or_else(|| {
                    self.senseless(
                        &Path::default(),
                        unknown_group(at(), name.as_str(), &self.groups),
                    )
                })?;
                for kernel in kernels {
                    if !known.iter().any(|k| k.is(kernel) && k.arch == arch) {
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
                let of = if name.is_glob() { "that" } else { "of group" };
                let covers = if name.is_glob() { " covers" } else { "" };
                let message =
                    format!("no kernel {of} `{name}`{covers} is locked for these architectures");
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
                        btf: None,
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

    fn unknown_kernel(
        &self,
        path: &Path,
        name: &str,
        arch: Arch,
        known: &[KnownKernel<'_>],
    ) -> MatrixError {
        let elsewhere = known.iter().any(|kernel| kernel.is(name));
        // Of all versions, those of the kernel that is named are of use.
        let of = name.split_once(VERSION_MARK).map(|(of, _)| of);
        let of = of.filter(|of| known.iter().any(|kernel| kernel.name == *of));
        let names: BTreeSet<String> = known
            .iter()
            .filter(|k| !elsewhere || k.arch == arch)
            .filter(|k| of.map_or(k.version.is_none(), |of| k.name == of))
            .map(KnownKernel::full_name)
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = if elsewhere {
            format!("kernel `{name}` is not locked for {arch}")
        } else {
            format!("unknown kernel `{name}`")
        };
        let hint =
            instead_of(name, &names).or_else(|| Some("`ukci kernels list` names them".into()));
        self.wrong(path, &message, hint)
    }
}
