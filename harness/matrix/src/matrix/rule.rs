//! Checks that each rule (`[[exclude]]`, `[[expect]]`) makes sense.

use std::collections::{BTreeMap, BTreeSet};

use super::expand::Point;
use super::{Exclude, Expect, Matrix, MatrixError, Product};
use crate::authored::{Path, Step, instead_of};
use crate::scope::{Scope, Senseless};
use ukci_schema::artifact::Artifact;
use ukci_schema::verdict::{Expectation, VerdictKind};

/// The rules of a matrix, checked.
pub(super) struct Rules<'a> {
    pub(super) exclude: Vec<Scope<'a>>,
    pub(super) expect: Vec<(Scope<'a>, Expectation, Option<bool>)>,
}

impl Matrix {
    /// Checks that each rule names an axis and covers something, and reads the expectations.
    pub(super) fn rules(
        &self,
        products: &[(Path, &Product, Vec<Point>)],
    ) -> Result<Rules<'_>, MatrixError> {
        let all: BTreeSet<&Point> = products.iter().flat_map(|(_, _, p)| p).collect();
        let mut left = all.clone();
        let mut rules = Rules {
            exclude: Vec::new(),
            expect: Vec::new(),
        };
        for (n, exclude) in self.authored.exclude.iter().enumerate() {
            let path = Path::from("exclude").then(n);
            let scope = exclude.scope();
            self.check_rule(&path, scope, &exclude.reason, &all, &all)?;
            rules.exclude.push(scope);
        }
        for scope in &rules.exclude {
            if scope.artifacts.is_none() {
                left.retain(|point| !self.covers(scope, point));
            }
        }
        for (n, expect) in self.authored.expect.iter().enumerate() {
            let path = Path::from("expect").then(n);
            let scope = expect.scope();
            self.check_rule(&path, scope, &expect.reason, &left, &all)?;
            let expectation = self.expectation(&path, expect)?;
            rules.expect.push((scope, expectation, expect.required));
        }
        Ok(rules)
    }

    fn covers(&self, scope: &Scope<'_>, point: &Point) -> bool {
        scope.covers_point(
            &point.kernel,
            point.llvm.as_deref(),
            point.arch,
            &self.groups,
        )
    }

    fn check_rule(
        &self,
        path: &Path,
        scope: Scope<'_>,
        reason: &str,
        left: &BTreeSet<&Point>,
        all: &BTreeSet<&Point>,
    ) -> Result<(), MatrixError> {
        if scope.is_empty() {
            let hint = "name at least one of `artifacts`, `kernels`, `llvms`, `arches`".to_owned();
            return Err(self.wrong(path, "this rule names no axis", Some(hint)));
        }
        if reason.trim().is_empty() {
            let hint = "give the reason, for those who read the matrix later".to_owned();
            return Err(self.wrong(&path.then("reason"), "the reason is empty", Some(hint)));
        }
        (scope.check())
            .and_then(|()| scope.check_groups(&self.groups))
            .map_err(|senseless| self.senseless(path, senseless))?;

        let any = |points: &BTreeSet<&Point>, scope: &Scope<'_>| {
            points.iter().any(|point| self.covers(scope, point))
        };
        let nothing = |path: &Path, scope: &Scope<'_>, message: &str| {
            let (at, hint) = if any(all, scope) {
                let hint = "every cell that it covers is excluded".to_owned();
                (path.clone(), hint)
            } else {
                self.why_nothing(scope, all).map_or_else(
                    || (path.clone(), NO_ENTRY.to_owned()),
                    |(at, hint)| (path.join(&at), hint),
                )
            };
            Err(self.wrong(&at, message, Some(hint)))
        };
        if !any(left, &scope) {
            return nothing(path, &scope, "this rule covers no cell");
        }
        for (at, entry, alone) in scope.entries() {
            if !any(left, &alone) {
                let message = format!("`{entry}` covers no cell in this rule");
                let at = path.join(&at);
                let hint = match self.why_nothing(&alone, all) {
                    Some((_, hint)) => hint,
                    None if any(all, &alone) => "every cell that it covers is excluded".to_owned(),
                    None => NO_ENTRY.to_owned(),
                };
                return Err(self.wrong(&at, &message, Some(hint)));
            }
        }
        Ok(())
    }

    /// The first entry of a scope that no point has, and what there is instead.
    fn why_nothing(&self, scope: &Scope<'_>, points: &BTreeSet<&Point>) -> Option<(Path, String)> {
        for (at, entry, alone) in scope.by_entry() {
            let Some(Step::Key(axis)) = at.steps().first() else {
                continue;
            };
            if points.iter().any(|point| self.covers(&alone, point)) {
                continue;
            }
            if entry.starts_with('@') {
                let hint = format!("no cell is on a kernel of group `{entry}`");
                return Some((at, hint));
            }
            let there: BTreeSet<&str> = points
                .iter()
                .filter_map(|point| match axis.as_str() {
                    "kernels" => Some(point.kernel.as_str()),
                    "llvms" => point.llvm.as_deref(),
                    _ => Some(point.arch.name()),
                })
                .collect();
            let there: Vec<&str> = there.into_iter().collect();
            let hint = instead_of(&entry, &there).unwrap_or_else(|| match axis.as_str() {
                "llvms" => format!(
                    "no `[[cells]]` names an LLVM: add `llvms = [\"{entry}\"]` to one, or leave `llvms` out of the rule"
                ),
                axis => format!("no cell has `{entry}` among its `{axis}`"),
            });
            return Some((at, hint));
        }
        None
    }

    pub(super) fn senseless(&self, rule: &Path, senseless: Senseless) -> MatrixError {
        let path = rule.join(&senseless.path);
        self.wrong(&path, &senseless.message, senseless.hint)
    }

    fn expectation(&self, path: &Path, expect: &Expect) -> Result<Expectation, MatrixError> {
        match (expect.verdict, expect.code) {
            (VerdictKind::Error | VerdictKind::Skip, _) => {
                let message = "only `pass` and `fail` can be expected";
                Err(self.wrong(&path.then("verdict"), message, None))
            }
            (VerdictKind::Pass, Some(_)) => {
                Err(self.wrong(&path.then("code"), "a pass has no code", None))
            }
            (VerdictKind::Fail, None) => {
                let hint = "add `code = \"…\"`; `ukci explain` lists them".to_owned();
                Err(self.wrong(path, "an expected failure needs its code", Some(hint)))
            }
            (verdict, code) => Ok(Expectation {
                verdict,
                code,
                reason: Some(expect.reason.clone()),
            }),
        }
    }

    /// One sentence for each artifact that rules name and that is not part of this run.
    pub(super) fn idle(&self, artifacts: &[Artifact]) -> Vec<String> {
        let excludes = self.authored.exclude.iter().map(Exclude::scope);
        let expects = self.authored.expect.iter().map(Expect::scope);
        let rules = (excludes.enumerate())
            .map(|(n, scope)| (Path::from("exclude").then(n), scope))
            .chain((expects.enumerate()).map(|(n, scope)| (Path::from("expect").then(n), scope)));
        let mut idle: BTreeMap<&str, Vec<Path>> = BTreeMap::new();
        for (path, scope) in rules {
            for pattern in scope.artifacts.unwrap_or_default() {
                if !artifacts.iter().any(|a| pattern.covers(&a.name)) {
                    idle.entry(pattern.as_str()).or_default().push(path.clone());
                }
            }
        }
        idle.into_iter()
            .map(|(name, rules)| {
                let first = self.place(&rules[0]);
                let (rules, name_s) = match rules.len() {
                    1 => (format!("the rule at {first}"), "names"),
                    n => (format!("{n} rules, the first at {first},"), "name"),
                };
                format!("{rules} {name_s} artifact `{name}`, which is not part of this run")
            })
            .collect()
    }
}

/// Why a rule covers nothing if each of its entries has cells.
const NO_ENTRY: &str =
    "no single cell matches everything that the rule names, or that cell is excluded";
