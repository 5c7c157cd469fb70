//! The calls of a command to the kernel's BPF subsystem, watched in real kernels.

use std::path::{Path, PathBuf};
use std::process::Command;

use ukci_schema::command::Ended;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, Evidence, StepOutcome};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{K510, K612, command, machine, object, report, run as check, text};

/// A loader without a library, which does what its first argument says.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static int bpf(int cmd, union bpf_attr *attr) { return syscall(SYS_bpf, cmd, attr, sizeof *attr); }
static int load(const char *name, struct bpf_insn *insns, int count, int type) {
    union bpf_attr attr = {.prog_type = type, .insns = (long)insns, .insn_cnt = count,
                           .license = (long)"GPL"};
    strncpy(attr.prog_name, name, sizeof attr.prog_name - 1);
    return bpf(BPF_PROG_LOAD, &attr);
}
static int good(const char *name) {
    struct bpf_insn insns[] = {{.code = 0xb7}, {.code = 0x95}};
    return load(name, insns, 2, BPF_PROG_TYPE_SOCKET_FILTER);
}
static int bad(const char *name) {
    struct bpf_insn insns[] = {{.code = 0xbf, .src_reg = 5}, {.code = 0x95}};
    return load(name, insns, 2, BPF_PROG_TYPE_SOCKET_FILTER);
}
static int loaded;
static void tick(int signal) {}
static void *many(void *unused) {
    for (int n = 0; n < 25; n++) {
        int fd;
        // The verifier gives up at a signal, whoever watches.
        while ((fd = good("many")) < 0 && errno == EAGAIN);
        if (fd < 0) fprintf(stderr, "errno %d\n", errno);
        if (fd >= 0) { __sync_fetch_and_add(&loaded, 1); close(fd); }
    }
    return 0;
}
int main(int argc, char **argv) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (!strcmp(argv[1], "few")) return good("few") < 0 ? errno : 0;
    setrlimit(RLIMIT_MEMLOCK, &all);
    if (!strcmp(argv[1], "one")) return good("good") < 0;
    if (!strcmp(argv[1], "refused")) {
        union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8,
                              .max_entries = 3, .map_name = "counts"};
        int sock = socket(AF_INET, SOCK_DGRAM, 0), fd = good("good_one");
        if (bpf(BPF_MAP_CREATE, &map) < 0 || fd < 0) return 90;
        if (setsockopt(sock, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof fd)) return 91;
        // A probe as libraries make them, then a refusal that something follows.
        if (bad("") >= 0 || bad("tried_first") >= 0 || good("then_this") < 0) return 92;
        if (argc > 2) return 0;
        if (!vfork()) { bad("bad_one"); _exit(errno == EACCES ? 3 : 93); }
        int status;
        wait(&status);
        return WEXITSTATUS(status);
    }
    if (!strcmp(argv[1], "threads")) {
        struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
        struct itimerval often = {{0, 500}, {0, 500}};
        pthread_t threads[4];
        sigaction(SIGALRM, &action, 0);
        setitimer(ITIMER_REAL, &often, 0);
        for (int n = 0; n < 4; n++) pthread_create(&threads[n], 0, many, 0);
        for (int n = 0; n < 4; n++) pthread_join(threads[n], 0);
        printf("%d\n", loaded);
        return loaded == 100 ? 0 : 94;
    }
    if (!strcmp(argv[1], "traced")) {
        // The command has a tracer of its own.
        pid_t child = fork();
        if (!child) {
            if (ptrace(PTRACE_TRACEME, 0, 0, 0)) _exit(95);
            raise(SIGSTOP);
            _exit(good("traced") < 0 ? 96 : 42);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) return 97;
        ptrace(PTRACE_CONT, child, 0, 0);
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
    }
    return 64;
}
"#;

/// The loader; none where there is no compiler.
fn loader(dir: &Path) -> Option<PathBuf> {
    let source = dir.join("loader.c");
    std::fs::write(&source, SOURCE).unwrap();
    let program = dir.join("loader");
    let mut cc = Command::new("cc");
    let built = cc.args(["-pthread", "-o"]).arg(&program).arg(&source);
    match built.status() {
        Ok(status) if status.success() => Some(program),
        _ => {
            eprintln!("skipped: there is no C compiler");
            None
        }
    }
}

/// The cells of a run of these words, with their evidence.
fn run(dir: &Path, kernels: &[&str], words: &[&str]) -> Vec<(CellReport, Evidence)> {
    let out = dir.join("out");
    let mut exec = command(&["exec", "--out", text(&out)]);
    for kernel in kernels {
        exec.args(["--kernel", kernel]);
    }
    let ran = exec.args(words).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(matches!(ran.status.code(), Some(0 | 2)), "{said}");
    let cells = report(&out).cells;
    let evidence = |cell: &CellReport| {
        let file = out.join(&cell.evidence).join("evidence.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    cells
        .into_iter()
        .map(|cell| {
            let evidence = evidence(&cell);
            (cell, evidence)
        })
        .collect()
}

#[test]
fn a_refused_load_of_a_command_is_diagnosed_as_that_of_an_object() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(loader) = loader(dir.path()) else {
        return;
    };
    let words = ["--", text(&loader), "refused"];
    for (cell, evidence) in run(dir.path(), &[K510, K612], &words) {
        let kernel = &cell.kernel;
        let ended = &cell.command.as_ref().unwrap().ended;
        assert_eq!(*ended, Ended::Exited { status: 3 }, "{kernel}");
        let diagnosis = cell.diagnosis.as_ref().unwrap();
        assert_eq!(diagnosis.code, Code::VerifierRejection, "{kernel}");
        assert_eq!(diagnosis.program.as_deref(), Some("bad_one"), "{kernel}");
        let excerpt = diagnosis.excerpt.as_ref().unwrap();
        let says = |line: &String| line.contains("R5 !read_ok");
        assert!(excerpt.lines.iter().any(says), "{kernel}: {excerpt:?}");
        let names: Vec<&str> = cell.programs.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["good_one", "tried_first", "then_this", "bad_one"]);
        let loads: Vec<StepOutcome> = cell.programs.iter().map(|p| p.load).collect();
        let (ok, refused) = (StepOutcome::Ok, StepOutcome::Refused);
        assert_eq!(loads, [ok, refused, ok, refused], "{kernel}");
        assert_eq!(cell.programs[0].attach, AttachOutcome::Attached, "{kernel}");
        let map = &cell.maps[0];
        assert_eq!((map.name.as_str(), map.max_entries), ("counts", 3));
        let watched = evidence.command.unwrap().watched.unwrap();
        assert_eq!((watched.probes, watched.incomplete), (1, None), "{kernel}");
    }
    // What something accepted followed fails nothing, and is told.
    let (cell, _) = run(
        dir.path(),
        &[K612],
        &["--", text(&loader), "refused", "not"],
    )
    .remove(0);
    assert_eq!(cell.verdict, VerdictKind::Pass);
    let told = cell.programs[1].diagnosis.as_ref().map(|found| found.code);
    assert_eq!(told, Some(Code::VerifierRejection));
    // Not without the filter.
    let words = ["--no-watch", "--", text(&loader), "refused"];
    let (cell, evidence) = run(dir.path(), &[K612], &words).remove(0);
    let code = cell.diagnosis.map(|found| found.code);
    assert_eq!(code, Some(Code::CommandValidationFailure));
    assert!(evidence.command.unwrap().watched.is_none());
}

#[test]
fn threads_signals_and_a_tracer_of_the_commands_own_go_on_as_before() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(loader) = loader(dir.path()) else {
        return;
    };
    let loader = text(&loader);
    for (cell, evidence) in run(dir.path(), &[K510, K612], &["--", loader, "threads"]) {
        assert_eq!(cell.verdict, VerdictKind::Pass, "{:?}", cell.diagnosis);
        let watched = evidence.command.unwrap().watched.unwrap();
        assert!(watched.calls >= 100, "{}: {watched:?}", cell.kernel);
        assert_eq!(cell.programs.len(), 1, "{}", cell.kernel);
    }
    let traced = ["--expect-exit", "42", "--", loader, "traced"];
    let (cell, _) = run(dir.path(), &[K612], &traced).remove(0);
    assert_eq!(cell.verdict, VerdictKind::Pass, "{:?}", cell.diagnosis);
    assert_eq!(cell.programs[0].load, StepOutcome::Ok);
}

#[test]
fn a_load_that_only_a_right_is_missing_for_is_said_to_be_that() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(loader) = loader(dir.path()) else {
        return;
    };
    let words = ["--user", "nobody", "--", text(&loader), "few"];
    let (cell, _) = run(dir.path(), &[K612], &words).remove(0);
    let diagnosis = cell.diagnosis.as_ref().unwrap();
    assert_eq!(diagnosis.code, Code::CapabilityFailure, "{diagnosis:?}");
}

#[test]
fn what_a_tool_did_with_an_object_is_a_manifest_under_which_the_object_does_the_same() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(loader) = loader(dir.path()) else {
        return;
    };
    let object = object("two_programs");
    let record = |what: &str| {
        let mut record = command(&["manifest", "record", "--kernel", K612, "--artifact"]);
        record.args([text(&object), "--", text(&loader), what]);
        record.output().unwrap()
    };
    let recorded = record("one");
    let said = String::from_utf8_lossy(&recorded.stderr).into_owned();
    assert_eq!(recorded.status.code(), Some(0), "{said}");
    let manifest = String::from_utf8(recorded.stdout).unwrap();
    assert!(
        manifest.contains("name = \"loops\"\nautoload = false\n"),
        "{manifest}"
    );
    assert!(!manifest.contains("name = \"good\""), "{manifest}");
    let path = dir.path().join("two_programs.toml");
    std::fs::write(&path, manifest).unwrap();
    let checked = check(|check| {
        check.args(["--kernel", K612, "--manifest", text(&path), text(&object)]);
    });
    assert_eq!(checked.status, Some(0), "{}", checked.stderr);
    // What fails is not recorded as a choice.
    let failed = record("refused");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("does not work on kernel"), "{said}");
    assert!(failed.stdout.is_empty());
}
