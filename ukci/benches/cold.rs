//! `make bench`: what a cold cell costs beside a bare QEMU.
//!
//! Both boot the same kernel file with the same machine flags, in turn, A B A B …; the bare one
//! has a busybox initramfs that powers off at once. One figure per line on stdout, `name: value`;
//! the same as JSON in `target/bench.json`. Medians of wall and CPU seconds of whole processes,
//! children included.
//!
//! `UKCI_BENCH_KERNEL` (a catalogue name) and `UKCI_BENCH_RUNS` change what is measured.
#![expect(
    clippy::print_stdout,
    reason = "figures on stdout are what a benchmark is for"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, WaitOptions};

const KERNEL: &str = "debian-13-6.12-cloud";
const RUNS: usize = 7;

/// QEMU arguments whose value is of `ukci`'s own devices and not of the machine.
const DEVICES: &[&str] = &[
    "-object", "-chardev", "-device", "-mon", "-initrd", "-serial",
];

fn main() {
    let kernel = std::env::var("UKCI_BENCH_KERNEL").unwrap_or_else(|_| KERNEL.into());
    let runs = std::env::var("UKCI_BENCH_RUNS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(RUNS);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let object = root.join("target/examples/ringbuf.bpf.o");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let out = dir.path().join("out");
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ukci"));
        command
            .arg("check")
            .arg(&object)
            .args(["--kernel", &kernel]);
        command.arg("--out").arg(&out).env("UKCI_NO_PROGRESS", "1");
        command
    };

    // The first run fetches, unpacks, probes the accelerator, and tells the machine's flags.
    run(check());
    let cell = fs::read_dir(out.join("cells"))
        .expect("cells")
        .next()
        .expect("a cell");
    let cell = cell.expect("a cell").path();
    let initramfs = dir.path().join("busybox.cpio");
    fs::write(&initramfs, busybox_initramfs()).expect("write the initramfs");
    let bare = || bare(&cell, &initramfs, dir.path());
    run(bare());

    let (mut ukci, mut qemu) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ukci.push(run(check()));
        qemu.push(run(bare()));
    }
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("report.json")).expect("a report"))
            .expect("JSON");
    let cell = &report["cells"][0];
    let figures = BTreeMap::from([
        ("cold_bare_cpu_seconds", median(&qemu, |m| m.cpu)),
        ("cold_bare_wall_seconds", median(&qemu, |m| m.wall)),
        (
            "cold_cpu_ratio",
            median(&ukci, |m| m.cpu) / median(&qemu, |m| m.cpu),
        ),
        ("cold_cpu_seconds", median(&ukci, |m| m.cpu)),
        ("cold_peak_kib", cell["peak_kib"].as_f64().unwrap_or(0.0)),
        (
            "cold_ratio",
            median(&ukci, |m| m.wall) / median(&qemu, |m| m.wall),
        ),
        ("cold_runs", f64::from(u32::try_from(runs).unwrap_or(0))),
        ("cold_wall_seconds", median(&ukci, |m| m.wall)),
    ]);
    println!("kernel: {kernel}");
    println!("accel: {}", cell["accel"].as_str().unwrap_or("?"));
    println!("transport: {}", cell["transport"].as_str().unwrap_or("?"));
    for (name, value) in &figures {
        println!("{name}: {value:.3}");
    }
    let json = serde_json::json!({
        "kernel": kernel, "accel": cell["accel"], "transport": cell["transport"],
        "qemu": report["run"]["qemu"], "figures": figures,
    });
    fs::write(root.join("target/bench.json"), format!("{json:#}\n")).expect("write the figures");
}

/// What a whole process cost.
#[derive(Clone, Copy)]
struct Measure {
    wall: f64,
    cpu: f64,
}

#[expect(
    clippy::zombie_processes,
    reason = "rustix waits for it, and for its usage"
)]
/// Runs to the end; a failure ends the benchmark, for its figures would be of something else.
fn run(mut command: Command) -> Measure {
    let before = children();
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = child.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let pid = Pid::from_child(&child);
    let status = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    let wall = start.elapsed().as_secs_f64();
    let (_, status) = status.expect("wait").expect("an ended process");
    assert_eq!(status.exit_status(), Some(0), "{command:?} failed");
    Measure {
        wall,
        cpu: children() - before,
    }
}

/// CPU seconds of every reaped child, and of theirs.
fn children() -> f64 {
    // Fields 16 and 17 of proc_pid_stat(5): cutime and cstime, in clock ticks.
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc/self/stat");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: u64 =
        fields[13].parse::<u64>().unwrap_or(0) + fields[14].parse::<u64>().unwrap_or(0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of ticks is far below 2^52"
    )]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    seconds
}

fn median(measures: &[Measure], of: impl Fn(&Measure) -> f64) -> f64 {
    let mut values: Vec<f64> = measures.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The words of the QEMU command in a `command.txt`: a flag and its value a line.
fn qemu_words(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_end_matches('\\').trim_end());
    let mut words: Vec<String> = Vec::new();
    for line in lines.skip_while(|line| !line.contains("qemu-system-")) {
        let (flag, value) = line
            .split_once(' ')
            .map_or((line, None), |(f, v)| (f, Some(v)));
        words.push(flag.trim_matches('\'').to_owned());
        words.extend(value.map(|value| value.trim_matches('\'').to_owned()));
    }
    words
}

/// The machine of a cell's `command.txt` without `ukci`'s devices.
fn bare(cell: &Path, initramfs: &Path, dir: &Path) -> Command {
    let text = fs::read_to_string(cell.join("command.txt")).expect("command.txt");
    let words = qemu_words(&text);
    let mut command = Command::new(&words[0]);
    let mut words = words[1..].iter();
    while let Some(word) = words.next() {
        if DEVICES.contains(&word.as_str()) {
            words.next();
            continue;
        }
        match word.as_str() {
            "-M" | "-machine" => {
                let value = words.next().expect("a machine");
                let kept: Vec<&str> = value
                    .split(',')
                    .filter(|o| !o.starts_with("memory-backend"))
                    .collect();
                command.arg(word).arg(kept.join(","));
            }
            "-append" => {
                let value = words.next().expect("arguments");
                let kept: Vec<&str> = value
                    .split(' ')
                    .filter(|a| !a.starts_with("ukci."))
                    .collect();
                command.arg(word).arg(kept.join(" "));
            }
            _ => {
                command.arg(word);
            }
        }
    }
    command.arg("-initrd").arg(initramfs);
    command
        .arg("-serial")
        .arg(format!("file:{}", dir.join("bare.log").display()));
    command
}

/// A busybox that powers the machine off.
fn busybox_initramfs() -> Vec<u8> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .expect("busybox-static is installed by `make setup`");
    let mut archive = ukci_harness::cpio::Archive::default();
    archive.directory("/bin");
    archive.file(
        "/bin/busybox",
        fs::read(busybox).expect("read busybox"),
        true,
    );
    archive.file(
        "/init",
        b"#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n".to_vec(),
        true,
    );
    archive.finish()
}
