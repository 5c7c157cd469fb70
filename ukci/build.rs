//! Puts the guests' agents and libbpf's headers into the executable, so that it is one file, and
//! tells it its commit.
//!
//! libbpf's headers (LGPL-2.1 or BSD-2-Clause) come from the source of the libbpf-sys crate that
//! Cargo.lock names, so that they are those of the agent's libbpf.
//!
//! `UKCI_EMBED_AGENTS` names the directory with the `ukci-guest-<arch>`; if it is empty, no agent is
//! put in. Without the variable a release build takes those that lie where `make agent` puts them,
//! if there are any. `UKCI_COMMIT` names the commit if git is not available, and ends in `-dirty` if
//! the tree has other changes. Nix gives a hash of the sources instead (`nix/ukciUnwrapped.nix`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=UKCI_EMBED_AGENTS");
    println!("cargo::rerun-if-env-changed=UKCI_COMMIT");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    embed(agents_dir(release).as_deref(), &out)?;
    headers(&out)?;
    if let Some(commit) = commit(release) {
        let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
        println!("cargo::rustc-env=UKCI_VERSION={version} ({commit})");
    }
    Ok(())
}

fn agents_dir(release: bool) -> Option<PathBuf> {
    match env::var_os("UKCI_EMBED_AGENTS") {
        Some(dir) if dir.is_empty() => None,
        Some(dir) => Some(dir.into()),
        None if release => {
            let package = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
            Some(Path::new(&package).join("../target/release"))
        }
        None => None,
    }
}

/// Writes `agents.rs`: what the executable carries, by architecture.
fn embed(dir: Option<&Path>, out: &Path) -> io::Result<()> {
    let mut list = String::from("const CARRIED: &[Carried] = &[\n");
    for (arch, variant) in [
        ("x86_64", "X86_64"),
        ("aarch64", "Aarch64"),
        ("riscv64", "Riscv64"),
    ] {
        let Some(dir) = dir else { continue };
        let agent = dir.join(format!("ukci-guest-{arch}"));
        println!("cargo::rerun-if-changed={}", agent.display());
        if !agent.exists() {
            continue;
        }
        // Not compressed: every run would unpack it, and every build would build zstd a second time
        // for this script.
        let agent = agent.canonicalize()?;
        let _ = writeln!(
            list,
            "    Carried {{ arch: ukci_schema::cell::Arch::{variant}, bytes: include_bytes!({agent:?}) }},",
            agent = agent.to_string_lossy()
        );
    }
    list.push_str("];\n");
    fs::write(out.join("agents.rs"), list)
}

/// Headers that sources for BPF include. The others are for loaders.
const HEADERS: &[&str] = &[
    "bpf_core_read.h",
    "bpf_endian.h",
    "bpf_helper_defs.h",
    "bpf_helpers.h",
    "bpf_tracing.h",
    "usdt.bpf.h",
];

/// Writes `headers.rs`: libbpf's headers as an archive, if their source can be found.
fn headers(out: &Path) -> io::Result<()> {
    let mut archive = tar::Builder::new(Vec::new());
    let source = libbpf_source();
    for name in HEADERS {
        let Some(dir) = &source else { continue };
        let text = fs::read(dir.join(name))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("bpf/{name}"), text.as_slice())?;
    }
    let archive_path = out.join("libbpf-headers.tar");
    fs::write(&archive_path, archive.into_inner()?)?;
    let value = match source {
        Some(_) => format!("Some(include_bytes!({:?}))", archive_path.to_string_lossy()),
        None => "None".to_owned(),
    };
    let declared = "pub(crate) const LIBBPF_HEADERS: Option<&'static [u8]>";
    fs::write(out.join("headers.rs"), format!("{declared} = {value};\n"))
}

/// The directory `libbpf/src` of the libbpf-sys crate in this workspace.
fn libbpf_source() -> Option<PathBuf> {
    let cargo = env::var_os("CARGO")?;
    let package = env::var_os("CARGO_MANIFEST_DIR")?;
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .current_dir(package)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let manifest = text
        .split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .find(|path| path.contains("/libbpf-sys-"))?;
    let dir = Path::new(manifest).parent()?.join("libbpf/src");
    dir.is_dir().then_some(dir)
}

/// What goes into the executable, seen from this package. Cargo runs this program again if one of
/// them changes, so that a build knows whether it is of its commit alone.
const SOURCES: &[&str] = &[
    "../Cargo.lock",
    "../Cargo.toml",
    "../guest",
    "../harness",
    "../kernels",
    "../matrices",
    "Cargo.toml",
    "build.rs",
    "src",
];

/// The commit that is built, which ends in `-dirty` if anything else is built, too. Only a release
/// says it: a debug build would be linked anew after every commit.
fn commit(release: bool) -> Option<String> {
    if let Ok(commit) = env::var("UKCI_COMMIT") {
        return Some(commit).filter(|commit| !commit.is_empty());
    }
    if !release {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // It changes with every commit and checkout, unlike HEAD, which may name a branch.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let changed = [&["diff", "--quiet", "HEAD", "--"], SOURCES].concat();
    Some(match git(&changed) {
        Some(_) => commit,
        None => commit + "-dirty",
    })
}
