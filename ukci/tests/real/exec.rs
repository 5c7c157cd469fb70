//! `ukci exec` and `ukci runner`: programs of this host in real kernels.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use ukci_schema::command::Ended;
use ukci_schema::diagnosis::Code;
use ukci_schema::report::{Report, Start};
use ukci_schema::verdict::Outcome;

use crate::fixture::{K61, K612, command, machine, report, text};

/// A program that does what its first argument says.
const SOURCE: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "exit")) return atoi(argv[2]);
    if (!strcmp(what, "signal")) { raise(atoi(argv[2])); return 99; }
    if (!strcmp(what, "cat")) {
        static char bytes[65536];
        long got;
        while ((got = read(0, bytes, sizeof bytes)) > 0)
            for (long at = 0; at < got;) at += write(1, bytes + at, got - at);
        fprintf(stderr, "copied\n");
        return 0;
    }
    if (!strcmp(what, "write")) {
        static unsigned words[4096];
        unsigned n = 0, left = atoi(argv[2]) / sizeof words;
        while (left--) {
            for (int i = 0; i < 4096; i++) words[i] = n++ * 2654435761u;
            for (size_t at = 0; at < sizeof words;) at += write(1, (char *)words + at, sizeof words - at);
        }
        return 0;
    }
    if (!strcmp(what, "flood")) for (;;) { puts("flood"); fputs("flood\n", stderr); }
    if (!strcmp(what, "closed")) { close(0); close(1); close(2); return 7; }
    if (!strcmp(what, "reboot")) { puts("bye"); fflush(stdout); reboot(RB_AUTOBOOT); return 1; }
    if (!strcmp(what, "grandchild")) {
        if (!fork()) {
            setsid();
            if (!fork()) { signal(SIGTERM, SIG_IGN); for (;;) pause(); }
            _exit(0);
        }
        wait(0);
        for (;;) pause();
    }
    return 64;
}
"#;

/// The program, linked dynamically; none where there is no compiler.
fn program(dir: &Path) -> Option<PathBuf> {
    let source = dir.join("test.c");
    std::fs::write(&source, SOURCE).unwrap();
    let program = dir.join("program");
    let built = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status();
    match built {
        Ok(status) if status.success() => Some(program),
        _ => {
            eprintln!("skipped: there is no C compiler");
            None
        }
    }
}

/// `ukci runner`, with this for its standard input.
fn runner(words: &[&str], input: &[u8]) -> Output {
    let mut command = command(&["runner", "--kernel", K61]);
    let mut child = command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may end before it has read all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn a_runner_hands_status_signal_and_streams_through() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = program(dir.path()) else {
        return;
    };
    let program = text(&program);
    assert_eq!(
        runner(&[program, "exit", "201"], b"").status.code(),
        Some(201)
    );
    assert_eq!(runner(&[program, "closed"], b"").status.code(), Some(7));
    assert_eq!(
        runner(&[program, "signal", "11"], b"").status.signal(),
        Some(11)
    );
    // A mebibyte in, byte by byte, and the same out again.
    let input: Vec<u8> = (0_u32..1 << 18)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let copied = runner(&[program, "cat"], &input);
    assert_eq!(copied.status.code(), Some(0));
    assert!(copied.stdout == input, "{} bytes came", copied.stdout.len());
    assert_eq!(copied.stderr, b"copied\n");
}

#[test]
fn ten_mebibytes_come_as_they_were_written_and_a_flood_ends_with_its_time() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = program(dir.path()) else {
        return;
    };
    let program = text(&program);
    let length = 10 << 20;
    let written = runner(&[program, "write", &length.to_string()], b"");
    assert_eq!(written.status.code(), Some(0));
    let expected: Vec<u8> = (0_u32..length / 4)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let came = written.stdout.len();
    assert!(written.stdout == expected, "{came} bytes came");
    let flood = runner(&["--timeout", "1s", program, "flood"], b"");
    assert_eq!(flood.status.code(), Some(124));
    // Its last line may be cut off where it was killed.
    let came = flood.stdout.len();
    let expected = b"flood\n".repeat(came / 6 + 1);
    assert!(
        came > 0 && flood.stdout == expected[..came],
        "{came} bytes came"
    );
    assert!(flood.stderr.starts_with(b"flood\nflood\n"));
}

/// Statuses and signals in one guest each, all of them with `UKCI_TEST_SOAK`; and every status in one
/// guest, as its shell sees it, once or four times.
#[test]
fn statuses_and_signals_are_exact() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = program(dir.path()) else {
        return;
    };
    let program = text(&program);
    let all = std::env::var_os("UKCI_TEST_SOAK").is_some();
    let statuses = (0..=255).filter(|n| all || matches!(n, 0 | 1 | 2 | 77 | 124..=131 | 254 | 255));
    for status in statuses {
        let ended = runner(&[program, "exit", &status.to_string()], b"").status;
        assert_eq!((ended.code(), ended.signal()), (Some(status), None));
    }
    let signals = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31, 34, 64,
    ];
    for signal in signals
        .into_iter()
        .filter(|n| all || matches!(n, 2 | 6 | 9 | 11 | 15 | 34))
    {
        let ended = runner(&[program, "signal", &signal.to_string()], b"").status;
        assert_eq!((ended.code(), ended.signal()), (None, Some(signal)));
    }
    let count = if all { 1024 } else { 256 };
    let loops = "n=0; while [ $n -lt $COUNT ]; do \"$0\" exit $((n % 256)); \
                 [ $? -eq $((n % 256)) ] || { echo $n; exit 9; }; n=$((n + 1)); done; echo $n";
    let shell = ["sh", "-c", loops, program];
    let mut exec = command(&["runner", "--kernel", K61, "--file", program]);
    let ran = exec.env("COUNT", count.to_string()).args(shell);
    let ran = ran.output().unwrap();
    assert_eq!(ran.stdout, format!("{count}\n").as_bytes(), "{ran:?}");
}

#[test]
fn what_a_command_writes_to_the_kernels_log_is_no_report_of_the_kernel() {
    let Some(_machine) = machine() else { return };
    let report = "for level in '' '<0>' '<4>' '<12>'; do for line in \
                  '------------[ cut here ]------------' 'WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2' \
                  'BUG: unable to handle page fault' '---[ end trace 0 ]---'; \
                  do echo \"$level$line\" > /dev/kmsg || exit 9; done; done; dmesg | grep -c 'kernel/x.c'";
    let ran = runner(&["sh", "-c", report], b"");
    assert_eq!(ran.stdout, b"4\n", "{ran:?}");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
}

#[test]
fn only_a_kernel_panics() {
    let Some(_machine) = machine() else { return };
    let words = "Kernel panic - not syncing: Fatal exception";
    // The console shows all of them, and some as if the kernel had written them.
    let forged = format!(
        "for to in /dev/console /dev/kmsg; do echo '<0>{words}' > $to; \
         echo '[    9.1] BUG: {words}' > $to; done; sleep 4; echo alive"
    );
    let ran = runner(&["sh", "-c", &forged], b"");
    assert_eq!(ran.stdout, b"alive\n", "{ran:?}");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let restart = format!("echo '{words}' > /dev/console; reboot -f");
    let said = String::from_utf8_lossy(&runner(&["sh", "-c", &restart], b"").stderr).into_owned();
    assert!(said.contains("the guest was restarted"), "{said}");
    let ran = runner(&["sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"], b"");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(125), "{said}");
    assert!(
        said.contains("KERNEL_PANIC") || said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn nothing_of_a_command_outlives_its_time_and_the_end_of_the_guest_is_its_failure() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = program(dir.path()) else {
        return;
    };
    let program = text(&program);
    let late = runner(&["--timeout", "1s", program, "grandchild"], b"");
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert_eq!(late.status.code(), Some(124), "{said}");
    assert!(said.contains("it had not ended after"), "{said}");
    let gone = runner(&[program, "reboot"], b"");
    let said = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert_eq!(gone.status.code(), Some(125), "{said}");
    assert!(said.contains("the guest was restarted"), "{said}");
    assert_eq!(gone.stdout, b"bye\n");
}

#[test]
fn a_command_on_two_kernels_is_reported_and_run_again_like_an_object() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = dir.path().join("test.sh");
    let lines = "#!/bin/sh\n\
         uname -r > \"$UKCI_OUT/release\"\n\
         ifconfig lo | grep -q UP || exit 9\n\
         for type in tracefs debugfs bpf cgroup2 securityfs devpts; do\n\
           grep -q \" $type \" /proc/mounts || exit 8; done\n\
         echo \"$UKCI_KERNEL $GREETING $(id -u)\"\n\
         case $UKCI_KERNEL in *6.12*) echo too new >&2; exit 3;; esac\n";
    std::fs::write(&script, lines).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let mut exec = command(&[
        "exec",
        "--out",
        text(&out),
        "--kernel",
        K61,
        "--kernel",
        K612,
    ]);
    let ran = exec
        .args([
            "--user",
            "nobody",
            "--env",
            "GREETING=hello",
            "--name",
            "greet",
            "--",
        ])
        .arg(&script)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
    let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert!(
        stdout.contains(&format!("{K61} hello 65534")),
        "{stdout}\n{stderr}"
    );
    let report: Report =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let cell = |kernel: &str| {
        report
            .cells
            .iter()
            .find(|cell| cell.kernel == kernel)
            .unwrap()
    };
    let old = cell(K61);
    assert_eq!(
        (old.outcome, old.id.as_str()),
        (Outcome::Pass, &*format!("greet/{K61}/x86_64"))
    );
    let release = std::fs::read_to_string(out.join(&old.evidence).join("out/release")).unwrap();
    assert_eq!(release.trim(), old.release);
    let new = cell(K612);
    assert_eq!(
        new.command.as_ref().unwrap().ended,
        Ended::Exited { status: 3 }
    );
    let diagnosis = new.diagnosis.as_ref().unwrap();
    assert_eq!(diagnosis.code, Code::CommandValidationFailure);
    assert_eq!(diagnosis.excerpt.as_ref().unwrap().lines, ["too new"]);

    let again = dir.path().join("again");
    let rerun = command(&["rerun", text(&out), "--failed", "--out", text(&again)])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&rerun.stderr).into_owned();
    assert_eq!(rerun.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("Same"), "{stderr}");
}

#[test]
fn commands_after_the_first_are_copies_with_a_clock_and_a_boot_id_of_their_own() {
    let Some(_machine) = machine() else { return };
    // The first saves a guest, unless there is one.
    let first = runner(&["true"], b"");
    assert!(first.status.success(), "{first:?}");
    let facts = "cat /proc/sys/kernel/random/boot_id /proc/sys/kernel/random/uuid; date +%s";
    let dir = tempfile::tempdir().unwrap();
    let seen = |cold: bool| {
        let out = dir.path().join("out");
        let mut exec = command(&["exec", "--kernel", K61, "--out", text(&out)]);
        exec.args(["--memory", "512", "--shell", facts]);
        exec.args(cold.then_some("--cold"));
        assert!(exec.output().unwrap().status.success());
        let report = report(&out);
        let cell = &report.cells[0];
        let log = out.join(&cell.evidence).join("stdout.log");
        let lines = std::fs::read_to_string(log).unwrap();
        let mut lines = lines.lines().map(str::to_owned);
        let [boot, drawn, clock] = [(); 3].map(|()| lines.next().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let clock: u64 = clock.parse().unwrap();
        assert!(clock.abs_diff(now.as_secs()) < 30, "{clock}");
        (cell.start, cell.cpu_seconds, boot, drawn)
    };
    let (copy, other, boot) = (seen(false), seen(false), seen(true));
    assert_eq!(
        [copy.0, other.0, boot.0],
        [Start::Warm, Start::Warm, Start::Cold]
    );
    assert!(
        copy.2 != other.2 && copy.2 != boot.2,
        "{copy:?} {other:?} {boot:?}"
    );
    assert_ne!(copy.3, other.3);
    // A tenth on a quiet host; a busy one makes it more.
    assert!(copy.1 < boot.1 / 3.0, "{copy:?} {boot:?}");
}

/// With several kernels the others go on, but neither run may look like one whose output is whole.
#[test]
fn a_run_whose_output_is_lost_is_no_success_and_a_reader_may_go_away() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (kernels, shell, status) in [
        (&[K61][..], "echo x", 1),
        (&[K61, K612], "echo x", 1),
        (&[K61], "echo x; exit 3", 2),
    ] {
        let mut exec = command(&["exec", "-q", "--out", text(&out), "--shell", shell]);
        for kernel in kernels {
            exec.args(["--kernel", kernel]);
        }
        let ran = exec.stdout(full()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(status), "{said}");
        let lost = "error: failed to write the command's output to standard output: No space left";
        assert!(said.contains(lost), "{said}");
        assert_eq!(report(&out).cells.len(), kernels.len());
    }
    let mut exec = command(&["exec", "-q", "--out", text(&out), "--kernel", K61]);
    exec.args(["--shell", "echo x"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = exec.stdout(writer).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!said.contains("failed to write"), "{said}");
}
