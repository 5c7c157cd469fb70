//! A kernel to boot, and an initramfs with a guest of our own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ukci_harness::machine::Boot;
use ukci_harness::machine::qemu::{Accel, Settings, Transport};
use ukci_schema::cell::{Arch, Cell};

/// Longest time for anything a translated guest does, on a host that is busy with eight.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The modules that a guest may need, in load order; those that the kernel has built in are not
/// there.
const MODULES: [&str; 9] = [
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio",
    "virtio_pci",
    "virtio_console",
    "vsock",
    "vmw_vsock_virtio_transport_common",
    "vmw_vsock_virtio_transport",
];

/// What every test boots.
#[derive(Debug)]
pub(crate) struct Fixture {
    kernel: PathBuf,
    release: String,
    initramfs: PathBuf,
    cache: tempfile::TempDir,
}

impl Fixture {
    /// The fixture, made once a process; or why there is none.
    pub(crate) fn get() -> Result<&'static Self, String> {
        static FIXTURE: OnceLock<Result<Fixture, String>> = OnceLock::new();
        FIXTURE.get_or_init(Self::make).as_ref().map_err(Clone::clone)
    }

    fn make() -> Result<Self, String> {
        let kernel = PathBuf::from(
            std::env::var_os("UKCI_TEST_KERNEL").ok_or("UKCI_TEST_KERNEL names no kernel")?,
        );
        let modules = std::env::var_os("UKCI_TEST_MODULES").map(PathBuf::from);
        let cache = tempfile::tempdir().map_err(|error| error.to_string())?;
        let init = compile(cache.path());
        let mut archive = Newc::default();
        for directory in ["dev", "proc", "modules"] {
            archive.entry(directory, 0o40755, &[], (0, 0));
        }
        archive.entry("dev/console", 0o20_600, &[], (5, 1));
        archive.entry("init", 0o100_755, &fs::read(init).unwrap(), (0, 0));
        let mut order = String::new();
        for name in MODULES {
            let file = format!("{name}.ko");
            if let Some(path) = modules.as_deref().and_then(|root| find(root, &file)) {
                archive.entry(&format!("modules/{file}"), 0o100_644, &fs::read(path).unwrap(), (0, 0));
                writeln!(order, "{file}").unwrap();
            }
        }
        archive.entry("modules/order", 0o100_644, order.as_bytes(), (0, 0));
        archive.entry("TRAILER!!!", 0, &[], (0, 0));
        let initramfs = cache.path().join("initramfs");
        fs::write(&initramfs, archive.bytes).unwrap();
        let release = modules
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(|| "6.1.0".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { kernel, release, initramfs, cache })
    }

    /// The cache directory of the tests.
    pub(crate) fn cache(&self) -> PathBuf {
        self.cache.path().to_owned()
    }

    /// A boot of a guest that does `what`.
    pub(crate) fn boot(&self, what: &str, evidence: &Path) -> Boot {
        Boot {
            cell: Cell {
                artifact: "none".into(),
                kernel: "test".into(),
                llvm: None,
                arch: Arch::X86_64,
            },
            release: self.release.clone(),
            kernel: self.kernel.clone(),
            initramfs: self.initramfs.clone(),
            cmdline: vec![format!("ukci.test={what}")],
            memory: 256,
            cpus: 1,
            evidence: evidence.to_owned(),
        }
    }
}

/// What a test asks `detect` for.
pub(crate) fn settings(cache: &Path, accel: Option<Accel>, transport: Option<Transport>) -> Settings {
    Settings { accel, transport, arches: vec![Arch::X86_64], cache: cache.to_owned() }
}

/// Builds `guest.rs`, statically and without cargo.
fn compile(directory: &Path) -> PathBuf {
    let init = directory.join("init");
    let status = Command::new("rustc")
        .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static"])
        .args(["-C", "strip=symbols", "-o"])
        .arg(&init)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/guest.rs"))
        .status()
        .unwrap();
    assert!(status.success());
    init
}

fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(directory).ok()?.flatten().find_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => find(&entry.path(), name),
        _ => (entry.file_name() == name).then(|| entry.path()),
    })
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
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
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

/// Ends a test that cannot run here.
pub(crate) fn skip(why: &str) {
    note(&format!("skipped: {why}"));
}

/// Tells the reader of a test's output something.
#[expect(clippy::print_stderr, reason = "a test that skips or decides says so")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
