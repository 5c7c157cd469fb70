//! Objects that nobody here wrote: those that packages of Debian 13 ship, each on the oldest and
//! on a recent kernel, with the answer that a person who reads the object would give.
//!
//! `make test` sets `UKCI_TEST_REAL=1`: then packages that cannot be fetched fail. They are
//! fetched by `.setup/debian.sh`, whichever versions the suite has today, and kept in the cache.

#![expect(clippy::print_stderr, reason = "a skip is told to people")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ukci_schema::evidence::AttachOutcome;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::VerdictKind;

const KERNELS: [&str; 2] = ["debian-11-5.10-cloud", "debian-13-6.12-cloud"];

const XDP: &str = "libxdp1/usr/lib/x86_64-linux-gnu/bpf";
const LIRC: &str = "ir-keytable/usr/lib/udev/rc_keymaps/protocols";
const OPENSNITCH: &str = "opensnitch-ebpf-modules/usr/lib/opensnitchd/ebpf";
const CILIUM: &str =
    "golang-github-cilium-ebpf-dev/usr/share/gocode/src/github.com/cilium/ebpf/testdata";

/// An object, and the answer to it on both kernels.
struct Foreign {
    dir: &'static str,
    file: &'static str,
    /// `pass` or a code.
    answer: &'static str,
    /// What headline and hints must name.
    names: &'static [&'static str],
}

const fn foreign(
    dir: &'static str,
    file: &'static str,
    answer: &'static str,
    names: &'static [&'static str],
) -> Foreign {
    Foreign {
        dir,
        file,
        answer,
        names,
    }
}

const FOREIGN: &[Foreign] = &[
    // Programs that freplace is made for: they load and attach as they are.
    foreign(XDP, "xdp-dispatcher.o", "pass", &[]),
    foreign(XDP, "xsk_def_xdp_prog.o", "pass", &[]),
    foreign(XDP, "xdpfilt_alw_all.o", "pass", &[]),
    // xdpdump puts the function to trace in place of `func`.
    foreign(
        XDP,
        "xdpdump_bpf.o",
        "LOADER_CONTRACT",
        &["`func`", "2 programs", "bpf_program__set_attach_target"],
    ),
    // ir-keytable and gobpf have loaders, and sections for maps, of their own.
    foreign(
        LIRC,
        "rc_mm.o",
        "LOADER_CONTRACT",
        &["decoder_state_map", "lirc_mode2/maps", "SEC(\".maps\")"],
    ),
    foreign(
        LIRC,
        "manchester.o",
        "LOADER_CONTRACT",
        &["decoder_state_map", "lirc_mode2/maps"],
    ),
    foreign(
        OPENSNITCH,
        "opensnitch-dns.o",
        "LOADER_CONTRACT",
        &["events", "maps/events"],
    ),
    foreign(
        OPENSNITCH,
        "opensnitch.o",
        "LOADER_CONTRACT",
        &["maps/tcpsock"],
    ),
    // What cilium/ebpf tests its own loader with.
    foreign(CILIUM, "strings-el.elf", "pass", &[]),
    foreign(CILIUM, "kconfig-el.elf", "pass", &[]),
    foreign(CILIUM, "raw_tracepoint-el.elf", "pass", &[]),
    foreign(
        CILIUM,
        "iproute2_map_compat-el.elf",
        "LOADER_CONTRACT",
        &["section `maps`", "1.0"],
    ),
    foreign(
        CILIUM,
        "loader-el.elf",
        "LOADER_CONTRACT",
        &["static_fn", "`static`"],
    ),
    foreign(CILIUM, "fwd_decl-el.elf", "INVALID_OBJECT", &["`fwd`"]),
    foreign(
        CILIUM,
        "freplace-el.elf",
        "LOADER_CONTRACT",
        &["replacement", "freplace/subprog"],
    ),
    foreign(
        CILIUM,
        "btf_map_init-el.elf",
        "LOADER_CONTRACT",
        &["socket/tail", "program type"],
    ),
    foreign(
        CILIUM,
        "kfunc-kmod-el.elf",
        "MISSING_KFUNC",
        &["bpf_testmod_test_mod_kfunc"],
    ),
    foreign(
        CILIUM,
        "kconfig-eb.elf",
        "INVALID_OBJECT",
        &["byte order", "bpfel"],
    ),
    foreign(
        CILIUM,
        "loader-eb.elf",
        "INVALID_OBJECT",
        &["byte order", "bpfel"],
    ),
];

fn root() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    dir.canonicalize().unwrap()
}

/// Where the packages are unpacked; none, with the reason told, where they cannot be had.
fn packages() -> Option<PathBuf> {
    let required = std::env::var_os("UKCI_TEST_REAL").is_some();
    let agent = root().join("target/release/ukci-guest-x86_64");
    if !required && !agent.exists() {
        eprintln!(
            "skipped: `{}` is missing; `make test` makes it",
            agent.display()
        );
        return None;
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let dir = cache.unwrap().join("ukci/debian");
    let wanted = FOREIGN.iter().map(|f| f.dir.split('/').next().unwrap());
    let output = Command::new(root().join(".setup/debian.sh"))
        .arg(&dir)
        .args(wanted)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if output.status.success() {
        return Some(dir);
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!required, "failed to fetch the packages: {why}");
    eprintln!("skipped: failed to fetch the packages: {why}");
    None
}

fn run(objects: &[PathBuf], out: &Path) -> Report {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env(
            "UKCI_AGENT_X86_64",
            root().join("target/release/ukci-guest-x86_64"),
        )
        .env("NO_COLOR", "1")
        // A test of what kernels answer asks them.
        .env("UKCI_NO_CACHE", "1")
        .stdin(Stdio::null())
        .args(["--quiet", "check", "--timeout", "2m"])
        .args(KERNELS.iter().flat_map(|kernel| ["--kernel", kernel]))
        .args(objects)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_slice(&text).unwrap()
}

/// The verdict and all that is said of it.
fn answer(cell: &CellReport) -> (String, String) {
    match (&cell.diagnosis, &cell.fault) {
        (Some(diagnosis), _) => {
            let mut said = diagnosis.headline.clone();
            let _ = write!(said, " | {}", diagnosis.hints.join(" | "));
            (diagnosis.code.name().into(), said)
        }
        (None, Some(fault)) => ("error".into(), fault.headline.clone()),
        (None, None) if cell.verdict == VerdictKind::Pass => {
            let attached = |p: &_| matches!(p, AttachOutcome::Attached);
            let idle = cell.programs.iter().find(|p| !attached(&p.attach));
            let idle = idle.map(|p| format!("`{}` was not attached", p.name));
            let verdict = if idle.is_none() { "pass" } else { "idle" };
            (verdict.into(), idle.unwrap_or_default())
        }
        (None, None) => ("skip".into(), cell.reason.clone().unwrap_or_default()),
    }
}

#[test]
fn objects_of_debian_packages_get_the_right_answer() {
    let Some(dir) = packages() else { return };
    let objects: Vec<PathBuf> = FOREIGN
        .iter()
        .map(|f| dir.join(f.dir).join(f.file))
        .collect();
    let out = tempfile::tempdir().unwrap();
    let report = run(&objects, out.path());
    let mut wrong = Vec::new();
    for (foreign, path) in FOREIGN.iter().zip(&objects) {
        for kernel in KERNELS {
            let artifacts = report.artifacts.iter();
            let name = artifacts
                .filter(|artifact| Path::new(&artifact.path) == path)
                .map(|artifact| artifact.name.as_str())
                .next()
                .unwrap();
            let mut cells = report.cells.iter();
            let cell = cells.find(|c| c.artifact == name && c.kernel == kernel);
            let (verdict, said) = answer(cell.unwrap());
            let named = foreign.names.iter().all(|name| said.contains(name));
            if verdict != foreign.answer || !named {
                wrong.push(format!(
                    "{} on {kernel}: {verdict}, expected {} with {:?}: {said}",
                    foreign.file, foreign.answer, foreign.names
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
