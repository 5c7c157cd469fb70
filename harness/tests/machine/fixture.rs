//! A kernel to boot, and an initramfs with a guest of our own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ukci_harness::arch::Accel;
use ukci_harness::machine::Boot;
use ukci_harness::machine::qemu::Settings;
use ukci_harness::transport::Transport;
use ukci_schema::cell::{Arch, Cell};

/// Longest time for anything a translated guest does, on a host that is busy with eight.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// What every test boots.
#[derive(Debug)]
pub(crate) struct Fixture {
    kernel: PathBuf,
    release: String,
    initramfs: PathBuf,
    cache: PathBuf,
}

impl Fixture {
    /// The fixture, made once a process; or why there is none.
    pub(crate) fn get() -> Result<&'static Self, String> {
        static FIXTURE: OnceLock<Result<Fixture, String>> = OnceLock::new();
        FIXTURE
            .get_or_init(Self::make)
            .as_ref()
            .map_err(Clone::clone)
    }

    fn make() -> Result<Self, String> {
        let entry = match std::env::var_os("UKCI_TEST_KERNEL") {
            Some(entry) => PathBuf::from(entry),
            None => stored().ok_or("no kernel is in the store: `make test` fetches some")?,
        };
        let cache = directory().map_err(|error| error.to_string())?;
        if let Some(tools) = user_cache().map(|cache| cache.join("tools")) {
            // `make tools` builds the vsock device there.
            std::os::unix::fs::symlink(tools, cache.join("tools")).unwrap();
        }
        let mut archive = Newc::default();
        for directory in ["dev", "proc"] {
            archive.entry(directory, 0o40755, &[], (0, 0));
        }
        archive.entry("dev/console", 0o20_600, &[], (5, 1));
        archive.entry(
            "init",
            0o100_755,
            &fs::read(compile(&cache)).unwrap(),
            (0, 0),
        );
        archive.entry("TRAILER!!!", 0, &[], (0, 0));
        // The kernel's segment holds its modules. Archives are padded to a block each.
        archive
            .bytes
            .resize(archive.bytes.len().next_multiple_of(512), 0);
        archive
            .bytes
            .extend(fs::read(entry.join("segment.cpio")).unwrap());
        let initramfs = cache.join("initramfs");
        fs::write(&initramfs, archive.bytes).unwrap();
        let release = release(&entry).ok_or("the store's entry says no release")?;
        Ok(Self {
            kernel: entry.join("vmlinux"),
            release,
            initramfs,
            cache,
        })
    }

    /// The cache directory of the tests.
    pub(crate) fn cache(&self) -> PathBuf {
        self.cache.clone()
    }

    /// A boot of a guest that does `what`.
    pub(crate) fn boot(&self, what: &str, evidence: &Path) -> Boot {
        Boot {
            no_driver_for: Vec::new(),
            cell: Cell {
                artifact: "none".into(),
                kernel: "test".into(),
                llvm: None,
                arch: Arch::X86_64,
                btf: None,
            },
            release: self.release.clone(),
            kernel: self.kernel.clone(),
            image: String::new(),
            template: None,
            initramfs: self.initramfs.clone(),
            cmdline: vec![format!("ukci.test={what}")],
            memory: 256,
            cpus: 1,
            userland: ukci_harness::machine::Userland::default(),
            evidence: evidence.to_owned(),
        }
    }
}

/// A directory of this process. A static is never dropped, so it stays: those of processes that
/// are gone are removed. A test may run itself as a second process, which has its own.
fn directory() -> io::Result<PathBuf> {
    let base = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("machine");
    fs::create_dir_all(&base)?;
    for entry in fs::read_dir(&base)?.flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            // Another process may be removing it as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let own = base.join(std::process::id().to_string());
    fs::create_dir_all(&own)?;
    Ok(own)
}

/// The release of a store's entry, if it is of this architecture.
fn release(entry: &Path) -> Option<String> {
    let manifest = fs::read(entry.join("kernel.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    let release = manifest.get("release")?.as_str()?.to_owned();
    (manifest.get("arch")?.as_str()? == "x86_64").then_some(release)
}

/// A kernel of the store: a cloud one if there is any, the oldest of them, whose drivers are
/// modules. A kernel of a user's may be there without them.
fn stored() -> Option<PathBuf> {
    fs::read_dir(user_cache()?.join("store"))
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|entry| entry.join("modules.pack").exists())
        .filter_map(|entry| Some((release(&entry)?, entry)))
        .min_by_key(|(release, _)| (!release.contains("cloud"), release.clone()))
        .map(|(_, path)| path)
}

/// The cache that `make setup` and `ukci` itself fill.
fn user_cache() -> Option<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("ukci"))
}

/// What a test asks `detect` for.
pub(crate) fn settings(
    cache: &Path,
    accel: Option<Accel>,
    transport: Option<Transport>,
) -> Settings {
    Settings {
        accel,
        transport,
        arches: vec![Arch::X86_64],
        cache: cache.to_owned(),
    }
}

/// Builds `guest.rs`, statically and without cargo.
fn compile(directory: &Path) -> PathBuf {
    let init = directory.join("init");
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
        ])
        .args(["-C", "strip=symbols", "-o"])
        .arg(&init)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/machine/guest.rs"
        ))
        .status()
        .unwrap();
    assert!(status.success());
    init
}

/// An initramfs in the making.
#[derive(Default)]
struct Newc {
    bytes: Vec<u8>,
    entries: u32,
}

impl Newc {
    fn entry(&mut self, name: &str, mode: u32, data: &[u8], device: (u32, u32)) {
        self.entries += 1;
        let length = |n: usize| u32::try_from(n).unwrap();
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            length(data.len()),
            0,
            0,
            device.0,
            device.1,
            length(name.len() + 1),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The directory of a guest's sockets, as its command names it.
pub(crate) fn sockets(evidence: &Path) -> PathBuf {
    let command = fs::read_to_string(evidence.join("command.txt")).unwrap();
    let first = command.lines().next().unwrap();
    first.strip_prefix("mkdir -m 700 ").unwrap().into()
}

/// Processes whose command line names a guest's evidence or sockets, this one aside.
pub(crate) fn processes(evidence: &Path, sockets: &Path) -> Vec<u32> {
    let names = [evidence.to_str().unwrap(), sockets.to_str().unwrap()];
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            names.iter().any(|name| line.contains(name))
        })
        .collect()
}

/// Waits for something that other processes do, with patience and without a fixed sleep.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// Ends a test that cannot run here; under `make test`, which sees to everything, it fails.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("UKCI_TEST_REAL").is_none(), "{why}");
    note(&format!("skipped: {why}"));
}

/// Tells the reader of a test's output something.
#[expect(clippy::print_stderr, reason = "a test that skips or decides says so")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
