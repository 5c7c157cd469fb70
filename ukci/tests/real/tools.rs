//! Programs of the lock in guests, and what a command does to a kernel with one of them.

use ukci_schema::diagnosis::Code;

use crate::fixture::{K61, K510, K612, answer, machine, report, root, text, ukci};

#[test]
fn bpftool_of_the_lock_runs_on_every_kernel_and_again() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let start = ["exec", "--out", text(&out), "--tool", "bpftool"];
    let kernels = ["--kernel", K510, "--kernel", K612];
    let doing = [
        "--shell",
        "bpftool version | head -n 1 && bpftool -j prog show && readlink /proc/self/exe",
    ];
    let (output, stderr) = ukci(&[&start[..], &kernels, &doing].concat());
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(stdout.matches("bpftool v").count(), 2, "{stdout}");
    let ran = report(&out);
    assert!(ran.run.hermetic, "it is pinned by its digest");
    let again = dir.path().join("again");
    let (output, stderr) = ukci(&["rerun", text(&out), "--out", text(&again), &ran.cells[0].id]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");

    let (output, stderr) = ukci(&[&start[..], &["--tool", "bpftoo"], &kernels, &doing].concat());
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`bpftoo`"), "{stderr}");
}

/// The kernel's own warning: `tcp_snd_cwnd_set` warns of a window of zero, which a congestion control of
/// the casebook leads to.
#[test]
fn a_command_that_makes_the_kernel_warn_has_failed() {
    let Some(_machine) = machine() else { return };
    let object = root().join("target/casebook-x86_64/code_kernel_splat.bpf.o");
    if !object.exists() {
        eprintln!(
            "skipped: `{}` is missing; `make casebook-objects` makes it",
            object.display()
        );
        return;
    }
    let doing = "bpftool struct_ops register $UKCI_ARTIFACT || exit 8\n\
                 echo ukci_splat > /proc/sys/net/ipv4/tcp_congestion_control || exit 9\n\
                 nc -l -p 1234 > /dev/null & sleep 1\n\
                 head -c 20000 /dev/zero | nc 127.0.0.1 1234 -w 2\n\
                 sleep 1; exit 0";
    let out = tempfile::tempdir().unwrap();
    let arguments = ["exec", "--out", text(out.path()), "--tool", "bpftool"];
    let of_kernel = [
        "--kernel",
        K61,
        "--artifact",
        text(&object),
        "--shell",
        doing,
    ];
    let (output, stderr) = ukci(&[&arguments[..], &of_kernel].concat());
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let ran = report(out.path());
    assert_eq!(answer(&ran.cells[0]), Code::KernelSplat.name(), "{stderr}");
    let headline = &ran.cells[0].diagnosis.as_ref().unwrap().headline;
    assert!(headline.contains("WARNING in tcp_slow_start"), "{headline}");
    assert!(stderr.contains("WARNING: CPU: 0 PID: "), "{stderr}");
}
