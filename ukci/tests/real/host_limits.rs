//! A host that runs out of something: descriptors, threads, disk. Each cell has its Error, the run goes
//! on, and the report is written or the error says why not.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use ukci_schema::report::Report;
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{K612, command, machine, object, text};

/// Runs `ukci check` under `prefix`, a command that runs its arguments.
fn under(prefix: &[&str], args: &[&str]) -> (Output, String) {
    let check = command(args);
    let mut command = Command::new(prefix[0]);
    command
        .args(&prefix[1..])
        .arg(check.get_program())
        .args(args);
    command.envs(
        check
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output, stderr)
}

fn report(file: &Path) -> Report {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Copies of an object, which are as many cells.
fn copies(dir: &Path, count: usize) -> Vec<String> {
    let copy = |n| {
        let copy = dir.join(format!("copy{n}.bpf.o"));
        fs::copy(object("sum"), &copy).unwrap();
        text(&copy).to_owned()
    };
    (0..count).map(copy).collect()
}

#[test]
fn a_lack_of_descriptors_is_the_error_of_cells() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let objects = copies(dir.path(), 4);
    let out = dir.path().join("out");
    let mut told = false;
    for limit in [12, 24, 32, 40] {
        let limit = format!("--nofile={limit}");
        let mut args = vec![
            "check",
            "--out",
            text(&out),
            "--kernel",
            K612,
            "--jobs",
            "4",
        ];
        args.extend(objects.iter().map(String::as_str));
        let (output, stderr) = under(&["prlimit", &limit], &args);
        let code = output.status.code();
        if !out.join("report.json").exists() {
            assert_eq!(code, Some(1), "{stderr}");
            assert!(stderr.contains("Too many open files"), "{stderr}");
            continue;
        }
        let report = report(&out.join("report.json"));
        assert_eq!(report.cells.len(), 4, "{stderr}");
        for cell in &report.cells {
            match &cell.fault {
                None => assert_eq!(cell.verdict, VerdictKind::Pass, "{stderr}"),
                Some(_) => told = true,
            }
        }
        assert_eq!(code == Some(0), report.summary.error == 0, "{stderr}");
    }
    assert!(
        told,
        "no limit was so low that a cell, and not the run, noticed"
    );
}

/// A user that may have no thread but the first. Root may have any number.
#[test]
fn a_thread_that_cannot_be_started_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let object = dir.path().join("x.bpf.o");
    fs::write(&object, b"\x7fELF").unwrap();
    let out = dir.path().join("out");
    let mut prefix = vec!["prlimit", "--nproc=1"];
    if rustix::process::geteuid().is_root() {
        let other = [
            "setpriv",
            "--reuid=61183",
            "--regid=61183",
            "--clear-groups",
        ];
        prefix.splice(0..0, other);
    }
    let args = [
        "check",
        "--out",
        text(&out),
        "--kernel",
        K612,
        text(&object),
    ];
    let (output, stderr) = under(&prefix, &args);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let said = "error: failed to start a thread\n  Caused by: Resource temporarily unavailable";
    assert!(stderr.contains(said), "{stderr}");
}

#[test]
fn a_full_disk_leaves_a_report_or_says_so() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let objects = copies(dir.path(), 3);
    let disk = dir.path().join("disk");
    let kept = dir.path().join("kept.json");
    fs::create_dir(&disk).unwrap();
    let mount = |size: &str| {
        format!(
            "mount -t tmpfs -o size={size} none {disk} && \"$@\"; status=$?; \
             cp {disk}/out/report.json {kept} 2>&-; exit $status",
            disk = text(&disk),
            kept = text(&kept),
        )
    };
    let probe = Command::new("unshare")
        .args(["--mount", "sh", "-c", &mount("8k"), "sh", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: this user mounts no file system");
    }
    let out = disk.join("out");
    // From no room for the first file to room for all but the report.
    let mut told = 0;
    for size in ["8k", "64k", "96k"] {
        let _ = fs::remove_file(&kept);
        let mut args = vec![
            "check",
            "--out",
            text(&out),
            "--kernel",
            K612,
            "--jobs",
            "1",
        ];
        args.extend(objects.iter().map(String::as_str));
        let (output, stderr) = under(
            &["unshare", "--mount", "sh", "-c", &mount(size), "sh"],
            &args,
        );
        if output.status.success() {
            assert_eq!(report(&kept).summary.pass, 3, "{size}: {stderr}");
            continue;
        }
        told += 1;
        assert_eq!(output.status.code(), Some(1), "{size}: {stderr}");
        assert!(
            stderr.contains("No space left on device"),
            "{size}: {stderr}"
        );
        if kept.exists() {
            let report = report(&kept);
            assert_eq!(report.cells.len(), 3, "{size}: {stderr}");
            assert!(report.summary.error > 0, "{size}: {stderr}");
        } else {
            let said = format!("failed to write `{}`", text(&out.join("report.json")));
            assert!(stderr.contains(&said), "{size}: {stderr}");
        }
    }
    assert!(told > 0, "three cells fit in 8 KiB");
    // What cannot be downloaded or made is an error of the run, which names the file.
    let cache = disk.join("cache");
    let variable = format!("XDG_CACHE_HOME={}", text(&cache));
    let out = dir.path().join("out");
    let args = ["check", "--out", text(&out), "--kernel", K612, &objects[0]];
    let prefix = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        &mount("1M"),
        "sh",
        "env",
        &variable,
    ];
    let (output, stderr) = under(&prefix, &args);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

/// Whatever is written to the full disk, the advice is the same.
#[test]
fn a_full_disk_is_met_with_advice_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    // As a squashfs, it is as large.
    let mut random = fs::File::open("/dev/urandom").unwrap().take(2 << 20);
    let makefile = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION =\nNAME = x\n";
    fs::write(root.join("Makefile"), makefile).unwrap();
    fs::write(root.join("Kconfig"), "").unwrap();
    let mut large = fs::File::create(root.join("large")).unwrap();
    std::io::copy(&mut random, &mut large).unwrap();
    let tree = dir.path().join("tree.tar");
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut tar = Command::new("tar");
    tar.current_dir(dir.path())
        .arg("-cf")
        .arg(&tree)
        .arg("root");
    let tar = tar.output();
    assert!(tar.unwrap().status.success());
    let mount = format!(
        "mount -t tmpfs -o size=1M none {disk} && \"$@\"",
        disk = text(&disk)
    );
    let probe = Command::new("unshare")
        .args(["--mount", "sh", "-c", &mount, "sh", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: this user mounts no file system");
    }
    let variable = format!("XDG_CACHE_HOME={}", text(&disk.join("cache")));
    let out = dir.path().join("out");
    for args in [
        &[
            "exec",
            "--out",
            text(&out),
            "--kernel",
            K612,
            "--rootfs",
            text(&root),
            "--shell",
            "true",
        ],
        &[
            "exec",
            "--out",
            text(&out),
            "--kernel",
            K612,
            "--rootfs",
            text(&tree),
            "--shell",
            "true",
        ],
        &["kernels", "build", text(&tree)][..],
    ] {
        let prefix = [
            "unshare", "--mount", "sh", "-c", &mount, "sh", "env", &variable,
        ];
        let (output, stderr) = under(&prefix, args);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("No space left on device"), "{stderr}");
        assert!(stderr.contains("hint: free some space, or "), "{stderr}");
    }
}
