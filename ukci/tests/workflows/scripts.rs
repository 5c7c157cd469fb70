//! The scripts of `.github` that need no GitHub: the keys of the caches, the set-up, the archive.

use std::path::Path;
use std::process::Output;

use super::place::{Place, said, script};

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
    assert_ne!(plain[1], arches[1], "another agent is built");
    assert_eq!(plain[2], arches[2]);

    for other in [
        ("KERNELS", "debian-12-6.1"),
        ("SHARD", "count:1/4"),
        ("OPTIONS", "-k x"),
    ] {
        let other = keys(&[("MATRIX", "quick"), other]);
        assert_eq!(plain[..3], other[..3]);
        assert_ne!(plain[3], other[3], "other kernels are taken");
    }
    place.write("my matrix.toml", "[[cells]]\n");
    let mine = keys(&[("MATRIX", "my matrix.toml")]);
    place.write("my matrix.toml", "[[cells]]\n# more\n");
    let more = keys(&[("MATRIX", "my matrix.toml")]);
    assert_ne!(mine[3], more[3], "a matrix is its content");
}

/// A copy of the tree's script, among a Makefile's and a package manager's stand-ins.
fn set_up(place: &Place, env: &[(&str, &str)]) -> Output {
    std::fs::create_dir_all(place.path("tree/.github")).unwrap();
    std::fs::copy(script("setup"), place.path("tree/.github/setup")).unwrap();
    place.program("tree/.setup/packages.sh", "echo \"packages $*\" >>../calls");
    place.program(
        "bin/make",
        "echo \"make $*\" >>../calls\ncase \"$*\" in *build*)\n\
         mkdir -p target/release target/include/bpf\n\
         touch target/release/ukci target/release/ukci-guest-x86_64 target/release/ukci-guest;;\nesac",
    );
    place.run(&place.path("tree/.github/setup"), &[], env)
}

#[test]
fn the_tool_is_built_once_for_a_key() {
    let place = Place::new();
    let key = ("TOOL", "0123");
    for calls in [
        "make packages tools ARCHES=x86_64 riscv64\nmake build target/include/bpf ARCHES=x86_64 riscv64\n",
        "make packages tools ARCHES=x86_64 riscv64\n",
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
    assert!(
        place
            .path("home/.cache/ukci/action/0123/ukci-guest-x86_64")
            .is_file()
    );

    let other = set_up(&place, &[("TOOL", "4567")]);
    assert!(other.status.success(), "{}", said(&other));
    assert_eq!(
        place.read("calls"),
        "make packages tools\nmake build target/include/bpf\n"
    );
}

#[test]
fn what_is_missing_is_installed() {
    let place = Place::new();
    place.program("bin/clang-77", "");
    place.program("bin/bpftool", "exit 2");
    let env = [("TOOL", "0"), ("LLVMS", "77 78"), ("VMLINUX_H", "auto")];
    let ran = set_up(&place, &env);
    let calls = place.read("calls");
    let installed = calls.lines().last().unwrap();
    if installed == "packages clang-78 linux-tools-generic" {
        // Ubuntu, where the stand-in has installed nothing that could be found.
        return;
    }
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(installed, "packages clang-78 bpftool");

    // A bpftool that works, and compilers that are there.
    place.program("bin/bpftool", "");
    std::fs::remove_file(place.path("calls")).unwrap();
    let env = [("TOOL", "0"), ("LLVMS", "77"), ("VMLINUX_H", "auto")];
    assert!(set_up(&place, &env).status.success());
    assert_eq!(place.read("calls"), "make packages tools\n");
}

#[test]
fn an_archive_holds_a_tool_that_finds_its_agents() {
    let place = Place::new();
    for arch in ["x86_64", "aarch64", "riscv64"] {
        place.write(&format!("agents/ukci-guest-{arch}"), "an agent");
    }
    let mut archives = Vec::new();
    for dir in ["one", "two"] {
        std::fs::create_dir(place.path(dir)).unwrap();
        let args = [env!("CARGO_BIN_EXE_ukci"), "agents", dir];
        let ran = place.run(&script("archive"), &args, &[]);
        assert!(ran.status.success(), "{}", said(&ran));
        let name = format!(
            "ukci-v{}-{}-linux",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        );
        archives.push((place.path(dir).join(format!("{name}.tar.gz")), name));
    }
    let bytes = |at: usize| std::fs::read(&archives[at].0).unwrap();
    assert!(bytes(0) == bytes(1), "the same bytes each time");

    let (archive, name) = &archives[0];
    let ran = place.run(Path::new("tar"), &["-xf", archive.to_str().unwrap()], &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let tool = place.path(name).join("bin/ukci");
    let doctor = place.run(&tool, &["doctor"], &[("UKCI_NO_PROGRESS", "1")]);
    let agent = place
        .path(name)
        .join("bin/../libexec/ukci/ukci-guest-x86_64");
    let ok = format!("ok agent `{}`", agent.display());
    assert!(said(&doctor).contains(&ok), "{}", said(&doctor));
    assert!(place.path(name).join("LICENSE-MIT").is_file());
}
