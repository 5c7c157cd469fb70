//! Resolves selected cells to files. The kernels that the store lacks are fetched and unpacked, a few
//! at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use ukci_schema::cell::{Arch, kernel_key};
use ukci_schema::plan::{FileRef, Plan, PlannedArtifact, PlannedKernel, SCHEMA};

use super::error::Error;
use super::{Selected, test_files, toolchain};
use crate::arch;
use crate::catalogue::{Catalogue, Prepared, Progress};
use crate::threads;
use crate::waited_for::{Arrival, Teller, Unprepared, WaitedFor};

/// Kernels fetched and unpacked at the same time: downloads wait for the network, unpacking does
/// not.
const AT_ONCE: usize = 3;

/// A kernel by its name in the catalogue, or that of a user kernel.
type Wanted = (String, Arch);

/// Resolves cells to files. Blocking: kernels that the store lacks are fetched and unpacked, a few
/// at a time. Returns the plan and what went not quite as asked. If a kernel cannot be had, there is
/// no plan.
pub fn resolve(
    selected: Selected,
    artifacts: Vec<PlannedArtifact>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Plan, Vec<String>), Error> {
    let (mut plan, selected) = without_kernels(selected, artifacts, catalogue, progress)?;
    let mut warnings = selected.warnings.clone();
    let wanted = wanted(&plan);
    let kernels = prepare_all(&selected, wanted, catalogue, progress, &mut warnings)?;
    plan.kernels = kernels;
    Ok((plan, warnings))
}

/// The same for cells that may run as soon as their own kernels are there. Blocking until every kernel
/// was prepared, or nobody waits for it any more.
///
/// `ready` is handed the plan as soon as a kernel is there, and what the others are waited for with. If
/// this host's architecture is among those of the kernels, the first is one of that, because it shows
/// whether KVM works. A kernel that cannot be had is told in its turn. If none can be had, there is no
/// plan.
pub fn resolve_as_kernels_come(
    selected: Selected,
    artifacts: Vec<PlannedArtifact>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
    ready: impl FnOnce(Result<(Plan, Vec<String>, WaitedFor), Error>) + Send,
) {
    let resolved = without_kernels(selected, artifacts, catalogue, progress);
    let (mut plan, selected) = match resolved {
        Ok(resolved) => resolved,
        Err(error) => return ready(Err(error)),
    };
    let (missing, there): (BTreeSet<Wanted>, BTreeSet<Wanted>) = wanted(&plan)
        .into_iter()
        .partition(|wanted| is_missing(&selected, wanted, catalogue));
    let mut warnings = selected.warnings.clone();
    match prepare_all(&selected, there, catalogue, progress, &mut warnings) {
        Ok(kernels) => plan.kernels = kernels,
        Err(error) => return ready(Err(error)),
    }
    let keys = missing.iter().map(|(name, arch)| kernel_key(name, *arch));
    let (waited_for, teller) = WaitedFor::kernels(keys.collect());
    let host = arch::host().filter(|host| missing.iter().any(|(_, arch)| arch == host));
    let mut beginning = Beginning {
        host,
        failed: Vec::new(),
        waiting: Some((ready, plan, warnings, waited_for)),
    };
    beginning.begin_if_possible(&teller);
    let beginning = Mutex::new(beginning);
    threads::for_each(AT_ONCE, missing, |wanted| {
        // If nobody waits for it, the others only finish what they have begun.
        if teller.is_alone() {
            return;
        }
        let prepared = prepare(&selected, &wanted, catalogue, progress);
        let mut beginning = beginning.lock().unwrap_or_else(PoisonError::into_inner);
        beginning.prepared(wanted, prepared, &teller);
    });
    let beginning = beginning.into_inner();
    let beginning = beginning.unwrap_or_else(PoisonError::into_inner);
    beginning.end(&teller);
}

/// A run that has not begun yet, or has.
struct Beginning<F> {
    /// The architecture of which one kernel is needed first.
    host: Option<Arch>,
    /// The kernels that could not be had before it began.
    failed: Vec<(Wanted, Error)>,
    /// None if it has begun.
    waiting: Option<(F, Plan, Vec<String>, WaitedFor)>,
}

impl<F> Beginning<F>
where
    F: FnOnce(Result<(Plan, Vec<String>, WaitedFor), Error>),
{
    /// A kernel is there, or cannot be had.
    fn prepared(&mut self, wanted: Wanted, prepared: Result<Ready, Error>, teller: &Teller) {
        let Some((_, plan, warnings, waited_for)) = &mut self.waiting else {
            return tell(teller, &wanted, prepared);
        };
        match prepared {
            Err(error) => self.failed.push((wanted, error)),
            Ok((kernel, told)) => {
                let key = kernel_key(&wanted.0, wanted.1);
                waited_for.forget(&key);
                plan.kernels.insert(key, kernel);
                warnings.extend(told);
            }
        }
        self.begin_if_possible(teller);
    }

    fn begin_if_possible(&mut self, teller: &Teller) {
        let is_enough = |plan: &Plan| {
            let arches = || plan.kernels.values().map(|kernel| kernel.arch);
            match self.host {
                Some(host) => arches().any(|arch| arch == host),
                None => arches().next().is_some(),
            }
        };
        let waiting = self.waiting.take_if(|(_, plan, ..)| is_enough(plan));
        if let Some((ready, plan, warnings, waited_for)) = waiting {
            ready(Ok((plan, warnings, waited_for)));
            for (wanted, error) in self.failed.drain(..) {
                tell(teller, &wanted, Err(error));
            }
        }
    }

    /// Every kernel was tried.
    fn end(mut self, teller: &Teller) {
        self.host = None;
        self.begin_if_possible(teller);
        // Which error is reported does not depend on who finished first.
        self.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let (Some((ready, ..)), Some((_, error))) =
            (self.waiting, self.failed.into_iter().next())
        {
            ready(Err(error));
        }
    }
}

fn tell(teller: &Teller, (name, arch): &Wanted, prepared: Result<Ready, Error>) {
    teller.tell(Arrival {
        key: kernel_key(name, *arch),
        kernel: prepared.map_err(|error| Unprepared::of(&error, error.hint())),
    });
}

/// Everything but the kernels: agents, objects, and the files of functional tests.
fn without_kernels(
    mut selected: Selected,
    mut artifacts: Vec<PlannedArtifact>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Plan, Selected), Error> {
    let arches: BTreeSet<Arch> = selected.cells.iter().map(|p| p.cell.arch).collect();
    let agents = arches
        .into_iter()
        .map(|arch| Ok((arch, selected.agents.of(arch)?)));
    let agents: BTreeMap<Arch, FileRef> = agents.collect::<Result<_, Error>>()?;

    test_files::provide(&mut selected.cells, &mut artifacts, catalogue, progress)?;
    let objects = toolchain::compile_all(&selected, &artifacts, catalogue, progress)?;
    let plan = Plan {
        schema: SCHEMA.into(),
        matrix: selected.matrix.clone(),
        artifacts: artifacts
            .into_iter()
            .map(|a| (a.artifact.name.clone(), a))
            .collect(),
        kernels: BTreeMap::new(),
        objects,
        agents,
        cells: std::mem::take(&mut selected.cells),
        excluded: selected.excluded,
        budget: selected.budget,
        shard: selected.shard.clone(),
    };
    Ok((plan, selected))
}

fn wanted(plan: &Plan) -> BTreeSet<Wanted> {
    let cells = plan.cells.iter().map(|planned| &planned.cell);
    cells.map(|cell| (cell.kernel.clone(), cell.arch)).collect()
}

/// Whether this kernel has to be fetched or unpacked. One that cannot be had is not missing: that is
/// known at once.
fn is_missing(selected: &Selected, (name, arch): &Wanted, catalogue: &Catalogue) -> bool {
    let locked = catalogue.lock().kernel(name, *arch);
    !selected.own.contains_key(name) && locked.is_some_and(|kernel| !catalogue.is_prepared(kernel))
}

/// Prepares kernels, a few at a time.
fn prepare_all(
    selected: &Selected,
    wanted: BTreeSet<Wanted>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, PlannedKernel>, Error> {
    let failed = AtomicBool::new(false);
    let mut done = threads::for_each(AT_ONCE, wanted, |(name, arch)| {
        // If nothing will run, the others only finish what they have begun.
        if failed.load(Ordering::Relaxed) {
            return None;
        }
        let key = kernel_key(&name, arch);
        let prepared = prepare(selected, &(name, arch), catalogue, progress);
        failed.fetch_or(prepared.is_err(), Ordering::Relaxed);
        Some((key, prepared))
    });
    // Which error is reported does not depend on who finished first.
    done.sort_by(|a, b| a.as_ref().map(|a| &a.0).cmp(&b.as_ref().map(|b| &b.0)));
    let mut kernels = BTreeMap::new();
    for (key, prepared) in done.into_iter().flatten() {
        let (kernel, told) = prepared?;
        warnings.extend(told);
        kernels.insert(key, kernel);
    }
    Ok(kernels)
}

/// A kernel of the plan, and what the user should know of it.
type Ready = (PlannedKernel, Vec<String>);

fn prepare(
    selected: &Selected,
    (name, arch): &Wanted,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Ready, Error> {
    let failed = |source| Error::Kernel {
        kernel: name.clone(),
        source: Box::new(source),
    };
    let prepared = if let Some(path) = selected.own.get(name) {
        (catalogue.own_kernel(path, &selected.modules, *arch)).map_err(failed)?
    } else {
        let kernel = catalogue.lock().kernel(name, *arch);
        let kernel = kernel.ok_or_else(|| Error::NotLockedFor {
            name: name.clone(),
            arch: *arch,
            known: catalogue.lock().arches(name),
        })?;
        catalogue.prepare(kernel, progress).map_err(failed)?
    };
    let Prepared { kernel, warnings } = prepared;
    let kernel = PlannedKernel {
        // An old version has the name of the present one in the lock.
        name: name.clone(),
        cmdline: [kernel.cmdline, selected.cmdline.clone()].concat(),
        sysctl: [kernel.sysctl, selected.sysctl.clone()].concat(),
        ..kernel
    };
    Ok((kernel, warnings))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wanted(name: &str, arch: Arch) -> Wanted {
        (name.to_owned(), arch)
    }

    fn kernel((name, arch): &Wanted) -> Ready {
        let file = || FileRef {
            path: Path::new("/x").into(),
            sha256: "0".repeat(64),
        };
        let kernel = PlannedKernel {
            name: name.clone(),
            release: "6.1".into(),
            arch: *arch,
            image: file(),
            segment: file(),
            modules: None,
            cmdline: Vec::new(),
            sysctl: Vec::new(),
            no_driver_for: Vec::new(),
            hermetic: true,
            packages: BTreeMap::new(),
        };
        (kernel, vec![format!("about {name}")])
    }

    fn failed((name, arch): &Wanted) -> Error {
        Error::NotLockedFor {
            name: name.clone(),
            arch: *arch,
            known: Vec::new(),
        }
    }

    fn plan() -> Plan {
        Plan {
            schema: SCHEMA.into(),
            matrix: "m".into(),
            artifacts: BTreeMap::new(),
            kernels: BTreeMap::new(),
            objects: BTreeMap::new(),
            agents: BTreeMap::new(),
            cells: Vec::new(),
            excluded: 0,
            budget: ukci_schema::budget::Budget::default(),
            shard: None,
        }
    }

    /// What is handed over of kernels that are prepared in this order, where one of `host` is needed
    /// first: the kernels of the plan, its warnings, and what comes afterwards.
    async fn handed_over(
        host: Option<Arch>,
        prepared: Vec<(Wanted, Result<Ready, Error>)>,
    ) -> Result<(Vec<String>, Vec<String>, Vec<(String, bool)>), Error> {
        let keys = prepared
            .iter()
            .map(|((name, arch), _)| kernel_key(name, *arch));
        let (waited_for, teller) = WaitedFor::kernels(keys.collect());
        let mut begun = None;
        let mut beginning = Beginning {
            host,
            failed: Vec::new(),
            waiting: Some((|ready| begun = Some(ready), plan(), Vec::new(), waited_for)),
        };
        for (wanted, prepared) in prepared {
            beginning.prepared(wanted, prepared, &teller);
        }
        beginning.end(&teller);
        let (plan, warnings, mut waited_for) = begun.unwrap()?;
        let mut after = Vec::new();
        while let Some(arrival) = waited_for.next().await {
            after.push((arrival.key, arrival.kernel.is_ok()));
        }
        Ok((plan.kernels.into_keys().collect(), warnings, after))
    }

    #[tokio::test]
    async fn a_run_begins_with_the_first_kernel_that_is_there() {
        let [a, b, c] = ["a", "b", "c"].map(|name| wanted(name, Arch::X86_64));
        let prepared = vec![
            (a.clone(), Err(failed(&a))),
            (b.clone(), Ok(kernel(&b))),
            (c.clone(), Ok(kernel(&c))),
        ];
        let (kernels, warnings, after) = handed_over(None, prepared).await.unwrap();
        assert_eq!(kernels, ["b/x86_64"]);
        assert_eq!(warnings, ["about b"]);
        let after: BTreeMap<_, _> = after.into_iter().collect();
        assert_eq!(
            after,
            [("a/x86_64".into(), false), ("c/x86_64".into(), true)].into()
        );

        let prepared = vec![(b.clone(), Err(failed(&b))), (a.clone(), Err(failed(&a)))];
        let error = handed_over(None, prepared).await.unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
    }

    #[tokio::test]
    async fn a_kernel_of_this_host_comes_first_because_it_shows_whether_kvm_works() {
        let (other, own) = (wanted("a", Arch::Riscv64), wanted("b", Arch::X86_64));
        let prepared = || {
            vec![
                (other.clone(), Ok(kernel(&other))),
                (own.clone(), Ok(kernel(&own))),
            ]
        };
        let (kernels, _, after) = handed_over(Some(Arch::X86_64), prepared()).await.unwrap();
        assert_eq!(kernels, ["a/riscv64", "b/x86_64"]);
        assert!(after.is_empty());
        let (kernels, _, after) = handed_over(None, prepared()).await.unwrap();
        assert_eq!(kernels, ["a/riscv64"]);
        assert_eq!(after, [("b/x86_64".to_owned(), true)]);
        // Unless it cannot be had.
        let prepared = vec![
            (other.clone(), Ok(kernel(&other))),
            (own.clone(), Err(failed(&own))),
        ];
        let (kernels, _, after) = handed_over(Some(Arch::X86_64), prepared).await.unwrap();
        assert_eq!(kernels, ["a/riscv64"]);
        assert_eq!(after, [("b/x86_64".to_owned(), false)]);
    }
}
