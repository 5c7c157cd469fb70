//! Builds of a tree whose Makefile only pretends.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;

/// A source with the targets that are used of the kernel's Makefile, and objects in `O=`.
const MAKEFILE: &str = "\
kernelversion kernelrelease:
\t@echo 6.1.0
allnoconfig:
\t@grep ^CONFIG_ $(KCONFIG_ALLCONFIG) > $(O)/.config
olddefconfig:
\t@true
Image: $(O)/arch/arm64/boot/Image
$(O)/arch/arm64/boot/Image: core.c
\t@echo '  CC      kernel/core.o'
\t@mkdir -p $(dir $@)
\t@if grep -q sleep core.c; then sleep 60; fi
\t@if grep -q broken core.c; then echo 'core.c:1:1: error: broken' >&2; exit 1; fi
\t@cat core.c > $@
";

fn tree(dir: &Path) -> PathBuf {
    let tree = dir.join("linux");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("Makefile"), MAKEFILE).unwrap();
    fs::write(tree.join("Kconfig"), "").unwrap();
    fs::write(tree.join("core.c"), "one").unwrap();
    tree
}

fn request(source: &str, cache: &Path) -> Request {
    // Without BTF, no tool is needed that a host of tests may lack.
    let off = ["DEBUG_INFO_BTF=n", "SYSTEM_TRUSTED_KEYRING=n"];
    Request {
        source: source.to_owned(),
        arch: Arch::Aarch64,
        base: Base::Bpf,
        debug: Vec::new(),
        settings: off.iter().map(|text| text.parse().unwrap()).collect(),
        jobs: 1,
        cache: cache.to_owned(),
    }
}

/// Builds, unless this host lacks a tool.
fn built(request: &Request) -> Option<Result<Built, Error>> {
    let stop = AtomicBool::new(false);
    match build(request, &stop, &mut |_| {}) {
        Err(Error::Tool { what, .. }) => {
            tracing::warn!("skipped: this host has not got {what}");
            None
        }
        built => Some(built),
    }
}

#[test]
fn a_kernel_is_built_once_and_again_if_a_file_changes() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let cache = dir.path().join("cache");
    let request = request(tree.to_str().unwrap(), &cache);
    let Some(first) = built(&request) else { return };
    let first = first.unwrap();
    assert_eq!((first.release.as_str(), first.made), ("6.1.0", 1));
    assert_eq!(fs::read(&first.image).unwrap(), b"one");
    let name = first.image.file_name().unwrap().to_string_lossy();
    assert!(name.starts_with("linux-6.1.0-bpf-"), "{name}");
    let config = first.image.with_file_name("config-6.1.0");
    assert!(
        fs::read_to_string(config)
            .unwrap()
            .contains("CONFIG_BPF_SYSCALL=y")
    );

    let again = built(&request).unwrap().unwrap();
    assert_eq!((again.made, &again.image), (0, &first.image));

    fs::write(tree.join("core.c"), "two").unwrap();
    let changed = built(&request).unwrap().unwrap();
    assert_ne!(changed.image, first.image);
    assert_eq!(fs::read(&changed.image).unwrap(), b"two");
    // An image with other bytes than were built is built again.
    fs::write(&changed.image, "tampered").unwrap();
    let repaired = built(&request).unwrap().unwrap();
    assert_eq!(fs::read(&repaired.image).unwrap(), b"two");
    // All of it is listed as what it is.
    let entries = crate::cache::entries(&cache);
    let count = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!(count(crate::cache::Kind::BuiltKernels), 2);
    assert_eq!(count(crate::cache::Kind::KernelBuilds), 1);
}

#[test]
fn a_tarball_and_a_commit_are_sources_too() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    let cache = dir.path().join("cache");
    let archive = dir.path().join("linux-6.1.tar.gz");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        File::create(&archive).unwrap(),
        flate2::Compression::fast(),
    ));
    tar.append_dir_all("linux-6.1", &tree).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    let of_tar = request(archive.to_str().unwrap(), &cache);
    let Some(first) = built(&of_tar) else { return };
    assert_eq!(fs::read(first.unwrap().image).unwrap(), b"one");
    let short = dir.path().join("linux-6.1.tgz");
    fs::rename(&archive, &short).unwrap();
    let of_short = request(short.to_str().unwrap(), &dir.path().join("other"));
    let image = built(&of_short).unwrap().unwrap().image;
    assert_eq!(fs::read(image).unwrap(), b"one");

    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x@x"])
            .args(arguments);
        git.current_dir(&tree)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "-q"]) {
        return;
    }
    assert!(git(&["add", "."]) && git(&["commit", "-q", "-m", "one"]) && git(&["tag", "one"]));
    fs::write(tree.join("core.c"), "two").unwrap();
    assert!(git(&["commit", "-q", "-a", "-m", "two"]));
    let of = |name: &str| built(&request(&format!("{}@{name}", tree.display()), &cache)).unwrap();
    let one = of("one").unwrap();
    assert_eq!(fs::read(&one.image).unwrap(), b"one");
    assert!(one.source.starts_with("one of "), "{}", one.source);
    assert_eq!(fs::read(of("HEAD").unwrap().image).unwrap(), b"two");
    assert_eq!(of("one").unwrap().made, 0);
    let error = of("three").unwrap_err().to_string();
    assert!(
        error.starts_with("git failed to find `three` in `"),
        "{error}"
    );
    // The repository's own index and files are as they were.
    assert!(git(&["diff", "--quiet", "HEAD"]));
}

#[test]
fn a_tarball_with_more_than_a_source_has_is_refused_early() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |entries: &[(&str, u64)]| {
        let archive = dir.path().join("linux.tar.gz");
        let gz = flate2::write::GzEncoder::new(
            File::create(&archive).unwrap(),
            flate2::Compression::fast(),
        );
        let mut tar = tar::Builder::new(gz);
        for (name, size) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(*size);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, &b"x"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        let request = request(archive.to_str().unwrap(), &dir.path().join("cache"));
        let error = built(&request)?.unwrap_err();
        let source = std::error::Error::source(&error);
        Some(source.map_or(String::new(), ToString::to_string))
    };
    let Some(said) = refused(&[("linux/../../x", 1)]) else {
        return;
    };
    assert_eq!(said, "`linux/../../x` points outside of the archive");
    assert!(!dir.path().join("x").exists());
    let said = refused(&[("linux/x", 9 << 30)]).unwrap();
    assert_eq!(said, "`linux/x` claims 9663676416 bytes");
    // Nothing is left of a source that was refused.
    let places = fs::read_dir(dir.path().join("cache").join(WORK)).unwrap();
    assert_eq!(places.count(), 0);
}

#[test]
fn what_is_no_source_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let tree = tree(dir.path());
    fs::write(tree.join(".config"), "").unwrap();
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    // As one may not read it, and root is not refused: a link to itself.
    let unread = dir.path().join("unread");
    fs::create_dir(&unread).unwrap();
    std::os::unix::fs::symlink("Kconfig", unread.join("Kconfig")).unwrap();
    let error = Source::find(unread.to_str().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("unread/Kconfig`"), "{error}");
    assert!(error.starts_with("failed to read `"), "{error}");
    let mut said = String::new();
    for source in [
        tree.to_str().unwrap(),
        empty.to_str().unwrap(),
        "./none",
        "linux-source-0.1",
        "/tmp@x",
    ] {
        let error = build(
            &request(source, &cache),
            &AtomicBool::new(false),
            &mut |_| {},
        )
        .unwrap_err();
        said += &format!("{error}\n  {}\n", error.hint().unwrap());
    }
    insta::assert_snapshot!(said.replace(dir.path().to_str().unwrap(), "DIR"));
}

#[test]
fn a_compilers_error_is_told_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    fs::write(tree.join("core.c"), "broken").unwrap();
    let request = request(tree.to_str().unwrap(), &dir.path().join("cache"));
    let Some(error) = built(&request) else { return };
    let error = error.unwrap_err();
    insta::assert_snapshot!(error, @"make failed to build `Image`: core.c:1:1: error: broken");
    let Error::Make { log, .. } = error else {
        panic!("{error}")
    };
    assert!(
        fs::read_to_string(log)
            .unwrap()
            .contains("CC      kernel/core.o")
    );
}

#[test]
fn a_build_that_is_stopped_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(dir.path());
    fs::write(tree.join("core.c"), "sleep").unwrap();
    let request = request(tree.to_str().unwrap(), &dir.path().join("cache"));
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let ended = build(&request, &stop, &mut |progress| {
        if matches!(progress, Progress::Making { .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    });
    match ended {
        Err(Error::Tool { .. }) => return,
        ended => assert!(matches!(ended, Err(Error::Stopped)), "{ended:?}"),
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    // Nothing that it started is left that has the tree as its directory.
    let left = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == tree));
    assert_eq!(left.count(), 0);
    assert_eq!(
        fs::metadata(&tree).unwrap().permissions().mode() & 0o777,
        0o755
    );
}
