//! Random attacks on the whole tool: kills at random moments of every command, mutated objects
//! through a real guest, names that are commands to their readers, mirrors that lie, disks that are full, and runs that race.
//!
//! `make torture` sets `UKCI_TORTURE` to the number of seconds that all attacks take together. With
//! `UKCI_TORTURE_KILLS`, each command is killed so many times, however long that takes.
//! Without it they are skipped. Each prints its seed, and `UKCI_TORTURE_SEED` repeats it. What must
//! hold afterwards is the same for all: no process of ours is left, the next command sweeps what a
//! killed one has left, a report is whole or absent, and nothing panics.

#![expect(clippy::print_stderr, reason = "a skip and a seed are told to people")]

mod disk;
mod kills;
mod mirror;
mod names;
mod objects;
mod races;
mod random;

#[path = "../../../harness/tests/hostile_report/mod.rs"]
mod hostile_report;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use random::Random;
use ukci_schema::report::Report;

/// A kernel that boots quickly.
const KERNEL: &str = "debian-12-6.1-cloud";

/// Exit statuses that `--help` lists. A panic is 101.
const STATUSES: [i32; 6] = [0, 1, 2, 3, 64, 130];

/// One attack: its time, its random numbers, and a directory that every process of it has in its
/// environment, so that none can hide.
struct Attack {
    random: Random,
    until: Instant,
    dir: tempfile::TempDir,
}

impl Attack {
    /// Begins an attack that may take this share of the time, in percent; none if it is not wanted.
    fn begin(name: &str, percent: u32) -> Option<Self> {
        let Some(seconds) = variable("UKCI_TORTURE") else {
            eprintln!("skipped: UKCI_TORTURE is not set");
            return None;
        };
        let seed = variable("UKCI_TORTURE_SEED").unwrap_or_else(random::seed);
        eprintln!("{name}: UKCI_TORTURE_SEED={seed}");
        let dir = tempfile::Builder::new().prefix("ut").tempdir().unwrap();
        for name in ["tmp", "home", "objects"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Some(Self {
            random: Random(seed),
            until: Instant::now() + Duration::from_secs(seconds * u64::from(percent) / 100),
            dir,
        })
    }

    fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `ukci` in the directory of the attack, with the cache of this user and nothing else.
    fn ukci<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(executable());
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CACHE_HOME", cache())
            // A cell that is not booted cannot be attacked.
            .env("UKCI_NO_CACHE", "1")
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null());
        command
    }

    /// An example object of the documentation, copied.
    fn object(&mut self) -> PathBuf {
        let all = examples();
        let from = &all[self.random.below(all.len())];
        let to = self.path("objects").join(from.file_name().unwrap());
        fs::copy(from, &to).unwrap();
        to
    }

    /// Asserts that no process is left that was started below this attack.
    fn assert_no_process(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = processes(self.dir.path());
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "{what}: left {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asserts that the temporary directory is empty: what was left has been swept.
    fn assert_swept(&self, what: &str) {
        let entries = fs::read_dir(self.path("tmp")).unwrap();
        let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{what}: left {left:?}");
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().expect("a number"))
}

/// The release build if `make torture` names it, because it is faster.
fn executable() -> PathBuf {
    std::env::var_os("UKCI_TORTURE_EXECUTABLE")
        .map_or_else(|| env!("CARGO_BIN_EXE_ukci").into(), PathBuf::from)
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from)
}

fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples");
    let dir = std::env::var_os("UKCI_TORTURE_OBJECTS").map_or(dir, PathBuf::from);
    let entries = fs::read_dir(&dir).expect("`make examples` compiles the objects");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "o"));
    files.sort();
    assert!(!files.is_empty(), "no object in {}", dir.display());
    files
}

/// The processes that name a directory in their environment, as `TMPDIR`, or in their arguments.
fn processes(dir: &Path) -> Vec<String> {
    let mark = dir.to_str().unwrap().as_bytes();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse() == Ok(std::process::id()) || name.parse::<u32>().is_err() {
            continue;
        }
        let read = |file| fs::read(entry.path().join(file)).unwrap_or_default();
        let (arguments, environment) = (read("cmdline"), read("environ"));
        let has = |text: &[u8]| text.windows(mark.len()).any(|part| part == mark);
        // A zombie has neither.
        if has(&arguments) || has(&environment) {
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            found.push(format!("{name}: {arguments:.100}"));
        }
    }
    found
}

/// The report of a directory, which must be whole if there is one.
fn report(out: &Path, what: &str) -> Option<Report> {
    let text = fs::read_to_string(out.join("report.json")).ok()?;
    let report = serde_json::from_str(&text);
    Some(report.unwrap_or_else(|error| panic!("{what}: a part of a report: {error}")))
}

/// A command that runs. What it says goes to files: whatever it leaves behind would keep a pipe
/// open.
struct Running {
    child: Child,
    said: [File; 2],
}

fn start(command: &mut Command) -> Running {
    let said = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let [stdout, stderr] = said.each_ref().map(|file| file.try_clone().unwrap());
    Running {
        child: command.stdout(stdout).stderr(stderr).spawn().unwrap(),
        said,
    }
}

/// Waits, but not forever.
fn ended(mut running: Running, limit: Duration, what: &str) -> Output {
    let until = Instant::now() + limit;
    let status = loop {
        if let Some(status) = running.child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() >= until {
            let _ = running.child.kill();
            panic!("{what}: not over after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let [stdout, stderr] = running.said.map(|mut file| {
        let mut text = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut text).unwrap();
        text
    });
    Output {
        status,
        stdout,
        stderr,
    }
}

/// What holds for every command that was not killed: a status of ours, and words for people.
fn assert_orderly(output: &Output, what: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = output.status.code();
    let is_ours = status.is_some_and(|status| STATUSES.contains(&status));
    assert!(is_ours, "{what}: {:?}: {stderr}", output.status);
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    if status != Some(0) {
        assert!(!stderr.is_empty(), "{what}: {status:?} without a word");
    }
}
