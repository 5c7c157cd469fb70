//! Copies of saved guests: they see what a boot sees, and nothing of one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use ukci_harness::catalogue::digest;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::Evidence;
use ukci_schema::report::{CellReport, Start};

use crate::fixture::{
    K61, K612, Ran, check, command, is_of_a_commit, machine, machines, object, own_cache, root,
    text, wait_until,
};

/// One that attaches, one that is refused, one that lacks something on older kernels, and one whose
/// target a module defines. With `UKCI_TEST_COPIES=all`, the whole casebook.
fn selection(command: &mut Command) {
    let casebook = root().join("target/casebook-x86_64");
    if !is_whole_casebook() {
        let examples = ["ringbuf", "unchecked_deref", "kfunc"].map(object);
        let module = casebook.join("edge_module_kprobe.bpf.o");
        command
            .args(examples)
            .args(Some(module).filter(|path| path.exists()));
        return;
    }
    for entry in std::fs::read_dir(&casebook).unwrap().flatten() {
        let path = entry.path();
        let Some(name) = text(&path).strip_suffix(".bpf.o") else {
            continue;
        };
        command.arg(&path);
        let manifest = PathBuf::from(format!("{name}.manifest.toml"));
        if manifest.exists() {
            let name = Path::new(name).file_name().unwrap().to_str().unwrap();
            command.arg(format!("--manifest={name}={}", manifest.display()));
        }
    }
}

fn is_whole_casebook() -> bool {
    std::env::var_os("UKCI_TEST_COPIES").is_some_and(|what| what == "all")
}

/// Two kernels, or those of the quick matrix for the whole casebook.
fn kernels(command: &mut Command) {
    if is_whole_casebook() {
        command.args(["--matrix", "quick"]);
    } else {
        command.args(["--kernel", K61, "--kernel", K612]);
    }
}

/// Everything that must not depend on how a guest started or is reached. An excerpt has addresses as they were.
fn seen(ran: &Ran) -> BTreeMap<&str, String> {
    let seen = |cell: &CellReport| {
        let diagnosis = cell.diagnosis.clone().map(|diagnosis| Diagnosis {
            excerpt: None,
            ..diagnosis
        });
        let fault = cell.fault.as_ref().map(|fault| (fault.stage, fault.code));
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            cell.verdict, cell.stage, diagnosis, fault, cell.reason, cell.evidence_digest
        )
    };
    let cells = ran.report.cells.iter();
    cells.map(|cell| (cell.id.as_str(), seen(cell))).collect()
}

fn evidence(out: &Path, cell: &CellReport) -> Evidence {
    let path = out.join(&cell.evidence).join("evidence.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_copy_a_boot_and_a_memory_see_the_same_and_no_two_copies_are_one() {
    let Some(_machine) = machine() else { return };
    let (warm_out, cold_out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Its verdicts are those of this test.
    let cache = own_cache();
    let remembering = |command: &mut Command| {
        selection(command);
        kernels(command);
        command
            .env_remove("UKCI_NO_CACHE")
            .env("XDG_CACHE_HOME", cache.path());
    };
    let warm = check(warm_out.path(), remembering);
    let cold = check(cold_out.path(), |command| {
        selection(command);
        kernels(command);
        command.arg("--cold");
    });
    // A cell that boots twice, such as for lack of memory, is no copy the second time.
    let starts = |ran: &Ran, start| {
        let cells = ran.report.cells.iter();
        cells
            .filter(|cell| cell.start == start && cell.boots == 1)
            .count()
    };
    assert_eq!(starts(&cold, Start::Warm), 0);
    assert_eq!(starts(&warm, Start::Cold), 0, "{}", warm.stderr);
    let (of_copies, of_boots) = (seen(&warm), seen(&cold));
    let differ = |of: &BTreeMap<&str, String>| -> Vec<String> {
        let others = of.iter().filter(|(id, seen)| of_copies[**id] != **seen);
        others
            .map(|(id, seen)| format!("{id}\n  {}\n  {seen}", of_copies[id]))
            .collect()
    };
    assert_eq!(differ(&of_boots), [""; 0], "copies and boots");

    let again_out = tempfile::tempdir().unwrap();
    let again = check(again_out.path(), remembering);
    let remembered = again.report.cells.iter().filter(|c| c.cached.is_some());
    let remembered = remembered.count();
    // No build of changed files remembers, and no error is remembered.
    assert_eq!(remembered > 0, is_of_a_commit());
    assert_eq!(
        differ(&seen(&again)),
        [""; 0],
        "copies and remembered verdicts"
    );
    let serial_out = tempfile::tempdir().unwrap();
    let serial = check(serial_out.path(), |command| {
        selection(command);
        command.args(["--kernel", K61, "--transport", "serial"]);
    });
    let of_serial = seen(&serial);
    assert_eq!(
        differ(&of_serial),
        [""; 0],
        "copies and boots over a serial line"
    );
    eprintln!(
        "{} copies are equal to {} boots, {remembered} remembered verdicts and {} boots over a \
         serial line",
        of_copies.len(),
        of_boots.len(),
        of_serial.len()
    );

    let mut boots = BTreeMap::new();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for cell in &warm.report.cells {
        let Some(_) = cell.evidence_digest else {
            continue;
        };
        let guest = evidence(warm_out.path(), cell).guest;
        let before = boots.insert(guest.boot_id.expect("a boot id"), &cell.id);
        assert_eq!(before, None, "a boot id of another cell: {}", cell.id);
        let clock = guest.clock.unwrap();
        assert!(clock.abs_diff(now) < 1800, "{clock} is not {now}");
        let console = warm_out
            .path()
            .join(&cell.evidence)
            .join("template-console.log");
        assert!(console.exists(), "{}", cell.id);
    }
    assert!(boots.len() > 3);
}

fn templates(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache.join("ukci/templates"));
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn is_half(path: &Path) -> bool {
    text(path).contains("/.making-")
}

fn two_cells(cache: &Path, command: &mut Command) {
    command.env("XDG_CACHE_HOME", cache);
    command.args([object("ringbuf"), object("unchecked_deref")]);
    command.args(["--kernel", K612]);
}

#[test]
fn a_killed_maker_leaves_no_half_template_and_a_bad_one_is_no_verdict() {
    let Some(_machine) = machine() else { return };
    let cache = own_cache();
    let out = tempfile::tempdir().unwrap();
    let mut killed = command(&["check", "--out", text(out.path())]);
    two_cells(cache.path(), &mut killed);
    let mut child = killed.stderr(Stdio::null()).spawn().unwrap();
    let marker = cache.path().display().to_string();
    wait_until("a guest boots to be saved", Duration::from_mins(1), || {
        templates(cache.path())
            .iter()
            .any(|path| path.join("ram").exists())
    });
    rustix::process::kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    wait_until("its machine is gone", Duration::from_secs(10), || {
        machines(&marker).is_empty()
    });
    let left = templates(cache.path());
    assert!(left.iter().all(|path| is_half(path)), "{left:?}");

    let starts = |ran: &Ran| -> Vec<Start> { ran.report.cells.iter().map(|c| c.start).collect() };
    let ran = check(out.path(), |command| two_cells(cache.path(), command));
    assert_eq!(starts(&ran), [Start::Warm, Start::Warm], "{}", ran.stderr);
    let made = templates(cache.path());
    assert!(made.len() == 1 && !is_half(&made[0]), "{made:?}");

    // QEMU does not understand this state. Its digest is right, so nobody notices before.
    let (state, record) = (made[0].join("state"), made[0].join("template.json"));
    std::fs::write(&state, "no state").unwrap();
    let mut value: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    value["state_sha256"] = digest::of(b"no state").into();
    std::fs::write(&record, value.to_string()).unwrap();
    let again = check(out.path(), |command| two_cells(cache.path(), command));
    assert_eq!(starts(&again), [Start::Cold, Start::Cold]);
    assert_eq!(seen(&again), seen(&ran));
    for cell in &again.report.cells {
        let note = &cell.notes[0];
        assert!(
            note.starts_with("it booted its kernel, because the copy"),
            "{note}"
        );
    }
}

#[test]
fn a_kernel_is_saved_beforehand_and_then_serves_a_single_cell() {
    let Some(_machine) = machine() else { return };
    let cache = own_cache();
    let warm = |kernel: &str| {
        let mut warm = command(&["warm", kernel]);
        let output = warm.env("XDG_CACHE_HOME", cache.path()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (status, said) = warm(K612);
    assert_eq!(status, Some(0), "{said}");
    let of = format!("{K612} for x86_64 with 256 MiB");
    assert!(said.contains(&format!("Saved {of} in ")), "{said}");
    let (status, said) = warm(K612);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.trim(), format!("Unchanged {of}"));
    let (status, said) = warm("none-such");
    assert_eq!(status, Some(64), "{said}");

    let out = tempfile::tempdir().unwrap();
    let ran = check(out.path(), |command| {
        command.env("XDG_CACHE_HOME", cache.path());
        command.arg(object("ringbuf")).args(["--kernel", K612]);
    });
    assert_eq!(ran.report.cells[0].start, Start::Warm, "{}", ran.stderr);
    assert_eq!(templates(cache.path()).len(), 1);
}
