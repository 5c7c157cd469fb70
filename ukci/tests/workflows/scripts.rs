//! Tests the scripts that need no GitHub: the keys of the caches, the setup, the archive, and the
//! rules of the Makefile for people.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::place::{Place, said, script};
use super::root;

#[test]
fn a_key_changes_with_what_it_names_and_nothing_else() {
    let place = Place::new();
    let keys = |env: &[(&str, &str)]| {
        std::fs::remove_file(place.path("output")).unwrap_or_default();
        let ran = place.run(&script("keys"), &[], env);
        assert!(ran.status.success(), "{}", said(&ran));
        let text = place.read("output");
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let value = lines.find(|(key, _)| *key == name).unwrap().1;
            assert!(!value.is_empty() && value.is_ascii(), "{name}");
            value.to_owned()
        };
        ["cache", "tool", "lock", "choice"].map(value)
    };
    let plain = keys(&[("MATRIX", "quick")]);
    assert_eq!(
        plain[0],
        place.path("home/.cache/ukci").display().to_string()
    );
    assert_eq!(plain, keys(&[("MATRIX", "quick")]));

    let arches = keys(&[("MATRIX", "quick"), ("ARCHES", "riscv64")]);
    assert_ne!(plain[1], arches[1], "it builds another agent");
    assert_eq!(plain[2], arches[2]);

    for other in [
        ("KERNELS", "debian-12-6.1"),
        ("SHARD", "count:1/4"),
        ("OPTIONS", "-k x"),
    ] {
        let other = keys(&[("MATRIX", "quick"), other]);
        assert_eq!(plain[..3], other[..3]);
        assert_ne!(plain[3], other[3], "it chooses other kernels");
    }
    place.write("my matrix.toml", "[[cells]]\n");
    let mine = keys(&[("MATRIX", "my matrix.toml")]);
    place.write("my matrix.toml", "[[cells]]\n# more\n");
    let more = keys(&[("MATRIX", "my matrix.toml")]);
    assert_ne!(
        mine[3], more[3],
        "the key depends on the content of a matrix"
    );
}

/// Runs a copy of the script in a tree whose `make` and package installer only record their calls.
fn set_up(place: &Place, env: &[(&str, &str)]) -> Output {
    set_up_with(place, "echo \"packages $*\" >>../calls", env)
}

/// The same with another package installer.
fn set_up_with(place: &Place, installer: &str, env: &[(&str, &str)]) -> Output {
    place.copy(&script("setup"), "tree/.github/setup");
    place.copy(&root().join(".setup/bpftool.sh"), "tree/.setup/bpftool.sh");
    place.program("tree/.setup/packages.sh", installer);
    place.program(
        "bin/make",
        "echo \"make $*\" >>../calls\ncase \"$*\" in *build*)\n\
         mkdir -p target/release target/include/bpf\n\
         touch target/release/ukci target/release/ukci-guest-x86_64;;\nesac",
    );
    place.run(&place.path("tree/.github/setup"), &[], env)
}

#[test]
fn the_tool_is_built_once_for_a_key() {
    let place = Place::new();
    let key = ("TOOL", "0123");
    for calls in [
        "make packages ARCHES=x86_64 riscv64\nmake build target/include/bpf ARCHES=x86_64 riscv64\n",
        "make packages ARCHES=x86_64 riscv64\n",
    ] {
        let ran = set_up(&place, &[key, ("ARCHES", "x86_64 riscv64")]);
        assert!(ran.status.success(), "{}", said(&ran));
        assert_eq!(place.read("calls"), calls);
        std::fs::remove_file(place.path("calls")).unwrap();
    }
    let dir = place.path("home/.cache/ukci/action/0123");
    let lines = place.read("output");
    let (dir, mut lines) = (dir.display(), lines.lines());
    assert_eq!(lines.next(), Some(format!("ukci={dir}/ukci").as_str()));
    assert_eq!(
        lines.next(),
        Some(format!("headers={dir}/include").as_str())
    );
    assert!(
        place
            .path("home/.cache/ukci/action/0123/include/bpf")
            .is_dir()
    );
    let kept = place.path("home/.cache/ukci/action/0123");
    assert_eq!(
        files_below(kept.clone()),
        [kept.join("ukci")],
        "the tool carries its agents"
    );

    let other = set_up(&place, &[("TOOL", "4567")]);
    assert!(other.status.success(), "{}", said(&other));
    assert_eq!(
        place.read("calls"),
        "make packages\nmake build target/include/bpf\n"
    );
}

#[test]
fn what_is_missing_is_installed() {
    let place = Place::new();
    let is_ubuntu = std::fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=ubuntu"));
    let package = if is_ubuntu {
        "linux-tools-generic"
    } else {
        "bpftool"
    };
    place.program("bin/clang-77", "");
    // Like that of Ubuntu, this bpftool does not work. The package installer replaces it.
    place.program("bin/bpftool", "exit 2");
    place.program("better", "");
    let installer = format!(
        "echo \"packages $*\" >>{calls}\ncase \"$*\" in {package}) cp {better} {bin}/bpftool;; esac",
        calls = place.path("calls").display(),
        better = place.path("better").display(),
        bin = place.path("bin").display(),
    );
    let env = [("TOOL", "0"), ("LLVMS", "77 78"), ("VMLINUX_H", "auto")];
    let ran = set_up_with(&place, &installer, &env);
    assert!(ran.status.success(), "{}", said(&ran));
    let calls = place.read("calls");
    let found = place.read("env");
    if calls.contains(&format!("packages {package}\n")) {
        assert!(
            calls.ends_with(&format!("packages clang-78\npackages {package}\n")),
            "{calls}"
        );
        let bpftool = place.path("bin/bpftool").display().to_string();
        assert_eq!(found, format!("UKCI_BPFTOOL={bpftool}\n"));
    } else {
        // This host has another bpftool, and it works.
        assert!(calls.ends_with("packages clang-78\n"), "{calls}");
        assert!(found.starts_with("UKCI_BPFTOOL=/usr/"), "{found}");
    }

    // Nothing is installed if bpftool works and the compilers are there.
    place.program("bin/bpftool", "");
    std::fs::remove_file(place.path("calls")).unwrap();
    let env = [("TOOL", "0"), ("LLVMS", "77"), ("VMLINUX_H", "auto")];
    assert!(set_up(&place, &env).status.success());
    assert_eq!(place.read("calls"), "make packages\n");

    // Only a vmlinux.h that is generated needs bpftool.
    std::fs::remove_file(place.path("env")).unwrap();
    let env = [("TOOL", "0"), ("LLVMS", "77"), ("VMLINUX_H", "vmlinux.h")];
    assert!(set_up(&place, &env).status.success());
    assert_eq!(place.read("env"), "");
}

/// Every file below a directory.
fn files_below(dir: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut dirs) = (Vec::new(), vec![dir]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let is_dir = entry.file_type().unwrap().is_dir();
            if is_dir { &mut dirs } else { &mut files }.push(entry.path());
        }
    }
    files.sort();
    files
}

#[test]
fn an_archive_holds_the_tool_and_its_licenses() {
    let place = Place::new();
    let mut archives = Vec::new();
    for dir in ["one", "two"] {
        std::fs::create_dir(place.path(dir)).unwrap();
        let ran = place.run(&script("archive"), &[env!("CARGO_BIN_EXE_ukci"), dir], &[]);
        assert!(ran.status.success(), "{}", said(&ran));
        let name = format!(
            "ukci-v{}-{}-linux",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        );
        archives.push((place.path(dir).join(format!("{name}.tar.gz")), name));
    }
    let bytes = |at: usize| std::fs::read(&archives[at].0).unwrap();
    assert!(bytes(0) == bytes(1), "both archives have the same bytes");

    let (archive, name) = &archives[0];
    let ran = place.run(Path::new("tar"), &["-xf", archive.to_str().unwrap()], &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let files = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "bin/ukci"];
    let files = files.map(|file| place.path(name).join(file));
    assert_eq!(files_below(place.path(name)), files);
    let doctor = place.run(&files[3], &["doctor"], &[("UKCI_NO_PROGRESS", "1")]);
    assert!(said(&doctor).contains("This host can"), "{}", said(&doctor));
}

/// A release must carry the agents of all architectures.
#[test]
fn a_release_without_an_agent_is_refused() {
    let place = Place::new();
    place.copy(&script("release"), "tree/.github/release");
    place.program("tree/.github/archive", "touch \"$2/archive\"");
    place.program("tree/.github/bills", "touch \"$1/bill\"");
    place.program("tree/.setup/packages.sh", "");
    place.program("bin/rustup", "");
    place.program("bin/readelf", "");
    place.program(
        "bin/cargo",
        "echo \"cargo $* with $UKCI_EMBED_AGENTS\" >>calls",
    );
    let release = || place.run(&place.path("tree/.github/release"), &["dist"], &[]);
    for arch in ["x86_64", "aarch64", "riscv64"] {
        let refused = release();
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains(&format!("no agent for {arch}")));
        assert!(!place.path("tree/calls").exists(), "nothing was built");
        place.write(&format!("tree/target/release/ukci-guest-{arch}"), "");
    }
    let ran = release();
    assert!(ran.status.success(), "{}", said(&ran));
    let calls = place.read("tree/calls");
    let dir = place.path("tree/target/release");
    assert!(
        calls.contains("--release --package ukci --target"),
        "{calls}"
    );
    assert!(
        calls
            .trim_end()
            .ends_with(&format!("with {}", dir.display())),
        "{calls}"
    );
    let sums = place.read("tree/dist/SHA256SUMS");
    assert!(sums.contains("archive") && sums.contains("bill"), "{sums}");
}

/// `make install` copies one file, which works where it is.
#[test]
fn an_installation_is_one_executable() {
    let place = Place::new();
    let tree = root().canonicalize().unwrap();
    let args = [
        "--directory",
        tree.to_str().unwrap(),
        // The tool is there already.
        "--old-file=build",
        "install",
        "PREFIX=/opt/a prefix",
        &format!("DESTDIR={}", place.path("stage").display()),
        &format!("UKCI={}", env!("CARGO_BIN_EXE_ukci")),
    ];
    let ran = place.run(Path::new("make"), &args, &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let tool = place.path("stage/opt/a prefix/bin/ukci");
    let files = files_below(place.path("stage"));
    assert_eq!(files, std::slice::from_ref(&tool));
    assert!(said(&ran).contains("stage/opt/a prefix/bin/ukci"));
    let version = place.run(&tool, &["--version"], &[]);
    assert!(said(&version).starts_with("ukci "), "{}", said(&version));
    let built = std::fs::read(env!("CARGO_BIN_EXE_ukci")).unwrap();
    assert!(
        std::fs::read(&tool).unwrap() == built,
        "it is what was built"
    );
}

/// Whoever forgets to name a case learns it before anything is built.
#[test]
fn evidence_needs_a_case() {
    let place = Place::new();
    let tree = root().canonicalize().unwrap();
    let make = |args: &[&str]| {
        let args = [&["--directory", tree.to_str().unwrap(), "--dry-run"], args].concat();
        place.run(Path::new("make"), &args, &[])
    };
    let refused = make(&["evidence"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said(&refused).contains("make evidence CASE="),
        "{}",
        said(&refused)
    );
    let planned = said(&make(&["evidence", "CASE=ringbuf", "KERNELS=a b"]));
    for variable in ["UKCI_CASEBOOK=\"a b\"", "UKCI_CASEBOOK_RECORD=\"ringbuf\""] {
        assert!(planned.contains(variable), "{planned}");
    }
}
