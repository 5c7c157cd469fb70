//! Cells run while the kernels of others are still downloaded.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::Value;
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{K61, K612, command, machine, object, report, root, text};

#[test]
fn a_cell_does_not_wait_for_the_kernel_of_another() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    // Packages that no cache has, and that no mirror sends.
    let lock = std::fs::read(root().join("kernels/lock.json")).unwrap();
    let mut lock: Value = serde_json::from_slice(&lock).unwrap();
    for kernel in lock["kernels"].as_array_mut().unwrap() {
        if kernel["name"] == K61 {
            for package in kernel["packages"].as_array_mut().unwrap() {
                package["sha256"] = "0".repeat(64).into();
            }
        }
    }
    let locked = dir.path().join("lock.json");
    std::fs::write(&locked, lock.to_string()).unwrap();
    let mirror = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", mirror.local_addr().unwrap());
    let out = dir.path().join("out");
    let sum = object("sum");
    let mut check = command(&["check", text(&sum), "--out", text(&out)]);
    check.args(["--kernel", K61, "--kernel", K612, "--color", "never"]);
    check.env("UKCI_LOCK", &locked);
    for archive in ["DEBIAN", "DEBIAN_SECURITY", "DEBIAN_SNAPSHOT"] {
        check.env(format!("UKCI_MIRROR_{archive}"), &address);
    }
    let mut child = check.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = Vec::new();
    let mut until = |what: &str| {
        for line in lines.by_ref() {
            said.push(line.unwrap());
            if said.last().unwrap().contains(what) {
                return;
            }
        }
        panic!("no {what} in {said:#?}");
    };
    // The mirror takes connections and is silent, until it is gone.
    until("PASS");
    drop(mirror);
    until("ERROR");
    for line in lines {
        said.push(line.unwrap());
    }
    let said = said.join("\n");
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    let report = report(&out);
    assert_eq!(
        (report.summary.pass, report.summary.error),
        (1, 1),
        "{said}"
    );
    assert!(!report.run.interrupted && report.not_run.is_empty());
    let cell = report.cells.iter().find(|cell| cell.kernel == K61).unwrap();
    assert_eq!(cell.verdict, VerdictKind::Error);
    let fault = cell.fault.as_ref().unwrap();
    let headline = format!("failed to prepare kernel `{K61}`: ");
    assert!(fault.headline.starts_with(&headline), "{}", fault.headline);
    assert!(
        fault.hints[0].contains("UKCI_MIRROR_DEBIAN"),
        "{:?}",
        fault.hints
    );
    assert!(!report.kernels.contains_key(&format!("{K61}/x86_64")));
}
