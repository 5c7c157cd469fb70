//! What the benchmark runs: the tool, its objects, and a cache of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use ukci_harness::catalogue::cache_dir;

/// The tool and a temporary directory with everything that it needs.
pub(crate) struct Setting {
    pub(crate) dir: tempfile::TempDir,
    tool: PathBuf,
    objects: Vec<PathBuf>,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let tool = std::env::var_os("UKCI_BENCH_TOOL");
        let examples = root.join("target/examples");
        let mut objects: Vec<PathBuf> = fs::read_dir(&examples)
            .expect("target/examples is made by `make setup`")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.to_string_lossy().ends_with(".bpf.o"))
            .collect();
        objects.sort();
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            tool: tool.map_or_else(|| env!("CARGO_BIN_EXE_ukci").into(), PathBuf::from),
            objects,
        }
    }

    /// A command of the tool.
    pub(crate) fn ukci(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tool);
        command.args(arguments).env("UKCI_NO_PROGRESS", "1");
        command
    }

    /// `ukci check` of these objects into the directory `out` of the benchmark.
    pub(crate) fn check(&self, objects: &[PathBuf], arguments: &[&str]) -> Command {
        let mut command = self.ukci(&["check"]);
        command.args(objects).args(arguments);
        command.args(["--accel", &Self::accel()]);
        command.arg("--out").arg(self.out());
        command
    }

    /// The accelerator: the same everywhere, so that hosts can be compared.
    pub(crate) fn accel() -> String {
        std::env::var("UKCI_BENCH_ACCEL").unwrap_or_else(|_| "tcg".to_owned())
    }

    /// Those of these options of `ukci check` that the tool has: `UKCI_BENCH_TOOL` may be older.
    pub(crate) fn known<'a>(&self, options: &[&'a str]) -> Vec<&'a str> {
        let help = self.ukci(&["check", "--help"]).output().expect("the help");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let options = options.iter().copied();
        options.filter(|option| help.contains(option)).collect()
    }

    /// Where checks write their reports.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// The last report.
    pub(crate) fn report(&self) -> serde_json::Value {
        let text = fs::read(self.out().join("report.json")).expect("a report");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The object whose only program loads, attaches and fires on every kernel.
    pub(crate) fn object(&self) -> PathBuf {
        let ringbuf = self
            .objects
            .iter()
            .find(|path| path.ends_with("ringbuf.bpf.o"));
        ringbuf.expect("target/examples/ringbuf.bpf.o").clone()
    }

    /// `count` objects with names of their own: the examples in turn. Each also has bytes of its
    /// own, so that nothing that is remembered of one holds for another.
    pub(crate) fn objects(&self, count: usize) -> Vec<PathBuf> {
        let dir = self.dir.path().join(format!("objects-{count}"));
        fs::create_dir_all(&dir).expect("a directory");
        let copy = |number: usize| {
            let from = &self.objects[number % self.objects.len()];
            let to = dir.join(format!("object{number:05}.bpf.o"));
            let mut bytes = fs::read(from).expect("an object");
            // Behind the sections, where no reader of ELF looks.
            bytes.extend(number.to_le_bytes());
            fs::write(&to, bytes).expect("write an object");
            to
        };
        (0..count).map(copy).collect()
    }

    /// A cache below the benchmark's directory that has these directories of the user's cache and
    /// nothing else: what is measured is made there and goes with it.
    pub(crate) fn cache(&self, name: &str, shared: &[&str]) -> PathBuf {
        let home = self.dir.path().join(name);
        let cache = home.join("ukci");
        fs::create_dir_all(&cache).expect("a cache");
        for shared in shared {
            let theirs = cache_dir().join(shared);
            if theirs.exists() {
                symlink(theirs, cache.join(shared)).expect("a link");
            }
        }
        home
    }
}
