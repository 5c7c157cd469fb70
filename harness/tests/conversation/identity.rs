//! Two cells are never confused, and no bytes are named that did not run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use ukci_harness::catalogue::digest;
use ukci_harness::evidence_dir::artifact_path;
use ukci_harness::resolve;
use ukci_harness::run::{self, Options};
use ukci_schema::message::FRAME_LIMIT;
use ukci_schema::plan::Plan;
use ukci_schema::report::Report;
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{options, plan};
use crate::scripted::{Ledger, Script, Scripted};

/// The bytes of an artifact: its name, and what makes several frames of it.
fn bytes(name: &str) -> Vec<u8> {
    [name.as_bytes(), &vec![7; 3 * FRAME_LIMIT]].concat()
}

/// A plan of one cell for each of these artifacts, on kernel `k`.
fn plan_of(dir: &Path, names: &[&str]) -> Plan {
    let mut plan = plan(dir, &["k"]);
    let cell = plan.cells.remove(0);
    let artifact = plan.artifacts.remove("x").unwrap();
    for (n, name) in names.iter().enumerate() {
        let mut artifact = artifact.clone();
        (*name).clone_into(&mut artifact.artifact.name);
        artifact.file.path = dir.join(format!("{n}.bpf.o"));
        std::fs::write(&artifact.file.path, bytes(name)).unwrap();
        artifact.file.sha256 = digest::of(&bytes(name));
        artifact.artifact.sha256.clone_from(&artifact.file.sha256);
        plan.artifacts.insert((*name).to_owned(), artifact);
        let mut cell = cell.clone();
        (*name).clone_into(&mut cell.cell.artifact);
        plan.cells.push(cell);
    }
    plan
}

/// The report, and how many guests were booted for it.
async fn run(plan: &Plan, options: &Options) -> (Report, usize) {
    let ledger = Arc::new(Ledger::default());
    let machine = Scripted {
        template: None,
        scripts: [("k".to_owned(), Script::Good)].into(),
        ledger: Arc::clone(&ledger),
    };
    let (_keep, cancel) = watch::channel(false);
    let report = run::run(plan.clone(), machine, options.clone(), cancel, |_| {}).await;
    (report.unwrap(), ledger.boots.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn cells_whose_names_look_alike_keep_what_is_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let (long, other) = (
        format!("{}1", "l".repeat(120)),
        format!("{}2", "l".repeat(120)),
    );
    let names = [
        "a b", "a@b", "a_b", "foo-bar", "foo_bar", "foo.bar", &long, &other,
    ];
    let plan = plan_of(dir.path(), &names);
    let mut options = options(dir.path());
    let (report, boots) = run(&plan, &options).await;
    assert_eq!(boots, names.len());
    let dirs: BTreeSet<&String> = report.cells.iter().map(|cell| &cell.evidence).collect();
    assert_eq!(dirs.len(), names.len(), "{dirs:?}");
    for name in names {
        let kept = options.out.join(artifact_path(name));
        assert!(std::fs::read(kept).unwrap() == bytes(name), "{name}");
    }

    options.resume = true;
    let (again, boots) = run(&plan, &options).await;
    assert_eq!((boots, again.cells.len()), (0, names.len()));
    // What lies in a cell's directory is asked whose it is: by its id, and by its plan.
    let file = |n: usize, name: &str| options.out.join(&report.cells[n].evidence).join(name);
    std::fs::copy(file(2, "cell.json"), file(0, "cell.json")).unwrap();
    let (again, boots) = run(&plan, &options).await;
    assert_eq!(boots, 1);
    let ids = |report: &Report| report.cells.iter().map(|cell| cell.id.clone()).collect();
    let (ids, before): (Vec<String>, Vec<String>) = (ids(&again), ids(&report));
    assert_eq!(ids, before);
    std::fs::copy(file(2, "plan.json"), file(0, "plan.json")).unwrap();
    std::fs::copy(file(2, "cell.json"), file(0, "cell.json")).unwrap();
    assert_eq!(run(&plan, &options).await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn a_finished_cell_is_kept_only_for_the_same_kernel_and_agent() {
    let dir = tempfile::tempdir().unwrap();
    let before = plan_of(dir.path(), &["x"]);
    let mut options = options(dir.path());
    assert_eq!(run(&before, &options).await.1, 1);
    options.resume = true;
    let other = dir.path().join("other");
    std::fs::write(&other, "other").unwrap();
    let file = ukci_schema::plan::FileRef {
        path: other,
        sha256: "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa".into(),
    };
    let mut kernel = before.clone();
    kernel
        .kernels
        .values_mut()
        .for_each(|kernel| kernel.image = file.clone());
    assert_eq!(run(&kernel, &options).await.1, 1);
    assert_eq!(run(&kernel, &options).await.1, 0);
    let mut agent = kernel.clone();
    agent
        .agents
        .values_mut()
        .for_each(|agent| *agent = file.clone());
    assert_eq!(run(&agent, &options).await.1, 1);
    // What the killed run after left: the plan of one run beside the verdict of another.
    let cell = options.out.join("cells/x_k_x86_64");
    let verdict = std::fs::read(cell.join("cell.json")).unwrap();
    assert_eq!(run(&before, &options).await.1, 1);
    std::fs::write(cell.join("cell.json"), verdict).unwrap();
    assert_eq!(run(&before, &options).await.1, 1);
}

/// The digest of the bytes that the guest of the only cell was given.
fn given(report: &Report, out: &Path) -> String {
    let plan = std::fs::read(out.join(&report.cells[0].evidence).join("plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    plan["object"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_rebuilt_after_it_was_read_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let mut plan = plan_of(dir.path(), &["x"]);
    let object = dir.path().join("rebuilt.bpf.o");
    let elf = |name: &str| bytes(&format!("\x7fELF{}{name}", "\0".repeat(60)));
    let read = elf("first");
    std::fs::write(&object, &read).unwrap();
    let mut artifact = resolve::artifacts(std::slice::from_ref(&object))
        .unwrap()
        .remove(0);
    "x".clone_into(&mut artifact.artifact.name);
    artifact.companions = plan.artifacts["x"].companions.clone();
    plan.artifacts.insert("x".to_owned(), artifact);
    // What the compiler does while kernels are fetched.
    std::fs::write(&object, elf("second")).unwrap();
    let (report, _) = run(&plan, &options).await;
    let digest = digest::of(&read);
    assert_eq!(report.artifacts[0].sha256, digest);
    assert_eq!(given(&report, &options.out), digest);
    assert!(std::fs::read(options.out.join("artifacts/x.bpf.o")).unwrap() == read);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_a_written_plan_that_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan_of(dir.path(), &["x"]);
    for path in ["0.bpf.o", "agent"] {
        let path = dir.path().join(path);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, bytes("other")).unwrap();
        let machine = Scripted {
            template: None,
            scripts: [("k".to_owned(), Script::Good)].into(),
            ledger: Arc::default(),
        };
        let (_keep, cancel) = watch::channel(false);
        let ran = run::run(plan.clone(), machine, options(dir.path()), cancel, |_| {}).await;
        let error = ran.unwrap_err().to_string();
        assert!(error.ends_with("` changed since it was planned"), "{error}");
        std::fs::write(&path, before).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cell_whose_evidence_cannot_be_written_is_an_error_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let name = "n".repeat(240);
    let names = ["a", "b", "c", &name, "not utf8"];
    let mut plan = plan_of(dir.path(), &names);
    // A file where the cell's directory should be, and a directory where the object should be.
    std::fs::create_dir_all(options.out.join("cells")).unwrap();
    std::fs::write(options.out.join("cells/a_k_x86_64"), "").unwrap();
    std::fs::create_dir_all(options.out.join(artifact_path("b"))).unwrap();
    let odd = dir.path().join(OsStr::from_bytes(b"\xff.bpf.o"));
    let artifact = plan.artifacts.get_mut("not utf8").unwrap();
    std::fs::rename(&artifact.file.path, &odd).unwrap();
    artifact.file.path = odd;
    let (report, boots) = run(&plan, &options).await;
    assert_eq!((boots, report.cells.len()), (2, names.len()));
    let fault = |n: usize| {
        let fault = report.cells[n].fault.clone().unwrap();
        (fault.headline, fault.hints[0].clone())
    };
    for n in [0, 1, 4] {
        let (headline, hint) = fault(n);
        assert!(headline.starts_with("the evidence cannot be saved: failed to write `"));
        assert_eq!(hint.contains("UTF-8"), n == 4, "{headline} {hint}");
    }
    for n in [2, 3] {
        assert_eq!(report.cells[n].verdict, VerdictKind::Pass);
    }
}
