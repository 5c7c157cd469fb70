//! Rules (`[[exclude]]`, `[[expect]]`): what each covers, and whether it makes sense.

use std::collections::BTreeSet;

use super::expand::Point;
use super::{Axes, Expect, KnownKernel, Matrix, MatrixError, Product};
use crate::authored::{Path, instead_of};
use ukci_schema::artifact::Artifact;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::diagnosis::Code;
use ukci_schema::verdict::{Expectation, VerdictKind};

impl Axes<'_> {
    fn is_empty(&self) -> bool {
        *self == Axes::default()
    }
}

/// What a rule covers: its axes, with the kernels that its name or group stands for.
pub(super) struct Cover<'a> {
    axes: Axes<'a>,
    kernels: Option<BTreeSet<(&'a str, Arch)>>,
}

impl Cover<'_> {
    /// Whether the axes but the artifact are equal.
    fn point(&self, kernel: &str, llvm: Option<&str>, arch: Arch) -> bool {
        (self.kernels.as_ref()).is_none_or(|kernels| kernels.contains(&(kernel, arch)))
            && self.axes.llvm.is_none_or(|name| Some(name) == llvm)
            && self.axes.arch.is_none_or(|name| name == arch.name())
    }

    pub(super) fn cell(&self, cell: &Cell) -> bool {
        (self.axes.artifact).is_none_or(|name| name == cell.artifact)
            && self.point(&cell.kernel, cell.llvm.as_deref(), cell.arch)
    }
}

/// The rules of a matrix, checked.
pub(super) struct Rules<'a> {
    pub(super) exclude: Vec<Cover<'a>>,
    pub(super) expect: Vec<(Cover<'a>, Expectation, Option<bool>)>,
}

impl Matrix {
    /// Checks that each rule names an axis and covers something, and reads the expectations.
    pub(super) fn rules<'a>(
        &'a self,
        products: &[(Path, &Product, Vec<Point>)],
        known: &[KnownKernel<'a>],
    ) -> Result<Rules<'a>, MatrixError> {
        let all: BTreeSet<&Point> = products.iter().flat_map(|(_, _, p)| p).collect();
        let mut left = all.clone();
        let mut rules = Rules {
            exclude: Vec::new(),
            expect: Vec::new(),
        };
        for (n, exclude) in self.authored.exclude.iter().enumerate() {
            let path = Path::from("exclude").then(n);
            let rule = self.cover(&path, exclude.axes(), known)?;
            self.check_rule(&path, &rule, &exclude.reason, &all, &all)?;
            rules.exclude.push(rule);
        }
        for rule in &rules.exclude {
            if rule.axes.artifact.is_none() {
                left.retain(|p| !rule.point(&p.kernel, p.llvm.as_deref(), p.arch));
            }
        }
        for (n, expect) in self.authored.expect.iter().enumerate() {
            let path = Path::from("expect").then(n);
            let rule = self.cover(&path, expect.axes(), known)?;
            self.check_rule(&path, &rule, &expect.reason, &left, &all)?;
            let expectation = self.expectation(&path, expect)?;
            rules.expect.push((rule, expectation, expect.required));
        }
        Ok(rules)
    }

    /// Looks up the kernels that a rule's name or group stands for.
    fn cover<'a>(
        &'a self,
        path: &Path,
        axes: Axes<'a>,
        known: &[KnownKernel<'a>],
    ) -> Result<Cover<'a>, MatrixError> {
        let Some(name) = axes.kernel else {
            return Ok(Cover {
                axes,
                kernels: None,
            });
        };
        let mut kernels = BTreeSet::new();
        for arch in Arch::ALL {
            let named = (self.groups.expand(name, arch, known))
                .ok_or_else(|| self.unknown_group(&path.then("kernel"), name))?;
            kernels.extend(named.into_iter().map(|kernel| (kernel, arch)));
        }
        Ok(Cover {
            axes,
            kernels: Some(kernels),
        })
    }

    fn check_rule(
        &self,
        path: &Path,
        rule: &Cover<'_>,
        reason: &str,
        left: &BTreeSet<&Point>,
        all: &BTreeSet<&Point>,
    ) -> Result<(), MatrixError> {
        if rule.axes.is_empty() {
            let hint = "name at least one of `artifact`, `kernel`, `llvm`, `arch`".to_owned();
            return Err(self.wrong(path, "this rule names no axis", Some(hint)));
        }
        if reason.trim().is_empty() {
            let hint = "say why, for those who read the matrix next year".to_owned();
            return Err(self.wrong(&path.then("reason"), "the reason is empty", Some(hint)));
        }
        let covered = |p: &&Point| rule.point(&p.kernel, p.llvm.as_deref(), p.arch);
        if left.iter().any(covered) {
            return Ok(());
        }
        if all.iter().any(covered) {
            let hint = "every cell that it covers is excluded".to_owned();
            return Err(self.wrong(path, "this rule covers no cell", Some(hint)));
        }
        let (at, hint) = why_nothing(path, rule, all);
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
    pub(super) fn idle(&self, artifacts: &[Artifact]) -> Vec<String> {
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
fn why_nothing(path: &Path, rule: &Cover<'_>, points: &BTreeSet<&Point>) -> (Path, String) {
    let axes = &rule.axes;
    let named: [(&'static str, Option<&str>, Value); 3] = [
        ("kernel", axes.kernel, |point| Some(&point.kernel)),
        ("llvm", axes.llvm, |point| point.llvm.as_deref()),
        ("arch", axes.arch, |point| Some(point.arch.name())),
    ];
    for (axis, named, value) in named {
        let Some(named) = named else { continue };
        let there: BTreeSet<&str> = points.iter().filter_map(|point| value(point)).collect();
        if axis == "kernel" && named.starts_with('@') {
            let of_group = |kernel: &str| {
                let mut kernels = rule.kernels.iter().flatten();
                kernels.any(|(name, _)| *name == kernel)
            };
            if there.iter().any(|kernel| of_group(kernel)) {
                continue;
            }
            let hint = format!("no cell is on a kernel of group `{named}`");
            return (path.then(axis), hint);
        }
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
