//! Kernels that are moved to a host without a network.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::cache::{self, Exported, Imported};

/// A host with one kernel, and its archive.
struct Moved {
    dir: tempfile::TempDir,
    kernel: LockedKernel,
    archive: PathBuf,
    exported: Exported,
}

fn moved() -> Moved {
    let (dir, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(&dir.path().join("there"), &[&mirror]);
    prepare(&catalogue, &kernel).unwrap();
    let archive = dir.path().join("kernels.tar.zst");
    let exported = cache::export(&catalogue, &[&kernel], true, &archive).unwrap();
    Moved {
        dir,
        kernel,
        archive,
        exported,
    }
}

#[test]
fn a_kernel_that_was_moved_needs_no_network() {
    let moved = moved();
    assert_eq!((moved.exported.kernels, moved.exported.verdicts), (1, 0));
    assert_eq!(
        moved.exported.sha256,
        digest::of_file(&moved.archive).unwrap()
    );
    let there = catalogue(&moved.dir.path().join("there"), &[]);
    let pipe = moved.dir.path().join("pipe");
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let refused = cache::export(&there, &[&moved.kernel], true, &pipe).unwrap_err();
    assert!(refused.to_string().contains("write"), "{refused}");
    assert!(!fs::metadata(&pipe).unwrap().is_file(), "it stays a pipe");
    let here = moved.dir.path().join("here");
    let imported = cache::import(&moved.archive, &here).unwrap();
    let expected = Imported {
        packages: 1,
        kernels: 1,
        ..Imported::default()
    };
    assert_eq!(imported, expected);
    let offline = catalogue(&here, &[]);
    assert!(offline.is_prepared(&moved.kernel));
    let kernel = prepare(&offline, &moved.kernel).unwrap().kernel;
    assert!(kernel.image.path.starts_with(&here));
    assert_eq!(
        fs::read(&kernel.image.path).unwrap(),
        vmlinux(RELEASE, true)
    );
    let text = fs::read_to_string(kernel.image.path.with_file_name("kernel.json")).unwrap();
    assert!(!text.contains("/there/"), "{text}");
    // Damage is healed from the package, which came along.
    fs::write(&kernel.image.path, "").unwrap();
    prepare(&offline, &moved.kernel).unwrap();
    // Again: nothing is new, and nothing is left beside.
    let imported = cache::import(&moved.archive, &here).unwrap();
    assert_eq!(
        imported,
        Imported {
            known: 2,
            ..expected
        }
    );
    let names = fs::read_dir(&here)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        names
            .map(|name| name.into_string().unwrap())
            .all(|name| !name.starts_with('.'))
    );
}

/// The members of an archive.
type Members = Vec<(String, tar::EntryType, Vec<u8>)>;

fn members(archive: &Path) -> Members {
    let decoder = zstd::Decoder::new(fs::File::open(archive).unwrap()).unwrap();
    let mut archive = tar::Archive::new(decoder);
    let members = archive.entries().unwrap().map(|member| {
        let mut member = member.unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        let name = member.path().unwrap().to_str().unwrap().to_owned();
        (name, member.header().entry_type(), bytes)
    });
    members.collect()
}

/// Writes an archive with whatever names: the crate `tar` would refuse some.
fn write(members: &Members, archive: &Path) {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, bytes) in members {
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_gnu_mut().unwrap().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    let mut encoder = zstd::Encoder::new(fs::File::create(archive).unwrap(), 1).unwrap();
    encoder.write_all(&builder.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap();
}

/// The index of an archive, changed.
fn with_index(members: &mut Members, change: impl FnOnce(&mut serde_json::Value)) {
    let mut index = serde_json::from_slice(&members[0].2).unwrap();
    change(&mut index);
    members[0].2 = serde_json::to_vec(&index).unwrap();
}

#[test]
fn what_a_killed_import_or_export_left_is_swept_by_the_next() {
    let moved = moved();
    let here = moved.dir.path().join("here");
    let left = [
        here.join(".import-dead/store"),
        moved.dir.path().join(".ukci-export-dead"),
    ];
    for dir in &left {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("part"), "part").unwrap();
    }
    cache::import(&moved.archive, &here).unwrap();
    let there = catalogue(&moved.dir.path().join("there"), &[]);
    cache::export(&there, &[&moved.kernel], true, &moved.archive).unwrap();
    for dir in [&here, moved.dir.path()] {
        for entry in fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.starts_with('.'), "{name} was left");
        }
    }
}

#[test]
fn a_name_made_to_fill_the_memory_is_refused_before_it_is_read() {
    let moved = moved();
    let long = (
        "././@LongLink".to_owned(),
        tar::EntryType::GNULongName,
        vec![b'a'; 2 << 20],
    );
    for place in [0, 1] {
        let mut members = members(&moved.archive);
        members.insert(place, long.clone());
        write(&members, &moved.archive);
        let refused = cache::import(&moved.archive, &moved.dir.path().join("here")).unwrap_err();
        assert!(refused.to_string().contains("more than 1 MiB"), "{refused}");
        members.remove(place);
        write(&members, &moved.archive);
    }
}

#[test]
fn what_export_does_not_write_is_refused_and_nothing_is_taken() {
    let moved = moved();
    let whole = members(&moved.archive);
    let file = tar::EntryType::Regular;
    let add = |name: &str, kind| {
        let mut members = whole.clone();
        let described = serde_json::json!({ "size": 1, "sha256": digest::of(b"x") });
        with_index(&mut members, |index| index["files"][name] = described);
        members.push((name.to_owned(), kind, b"x".to_vec()));
        members
    };
    let key = whole[2].0.split('/').nth(1).unwrap().to_owned();
    let name = |end: &str| format!("store/{key}/{end}");
    let position = |end: &str| {
        whole
            .iter()
            .position(|(name, ..)| name.ends_with(end))
            .unwrap()
    };
    let change = |change: &dyn Fn(&mut Members)| {
        let mut members = whole.clone();
        change(&mut members);
        members
    };
    let hostile: Vec<(&str, Members)> = vec![
        ("a path above", add("../evil", file)),
        ("a path above, inside", add("store/../../evil", file)),
        ("an absolute path", add("/tmp/evil", file)),
        ("a tool", add("tools/bin/vhost-device-vsock", file)),
        ("an answer", add("host/qemu.json", file)),
        ("a record", add(&name("../vmlinux.check"), file)),
        ("a hidden file", add(&name(".x"), file)),
        ("a file that no manifest names", add(&name("extra"), file)),
        (
            "another package",
            add(&format!("packages/{}.deb", "0".repeat(64)), file),
        ),
        (
            "a verdict that is none",
            add(&format!("verdicts/{}.tar.zst", "0".repeat(64)), file),
        ),
        ("a link", add(&name("vmlinux2"), tar::EntryType::Symlink)),
        ("a hard link", add(&name("vmlinux2"), tar::EntryType::Link)),
        (
            "a directory",
            add(&name("vmlinux2"), tar::EntryType::Directory),
        ),
        (
            "more than the index",
            change(&|members| {
                members.push((
                    format!("packages/{}.deb", digest::of(b"x")),
                    file,
                    b"x".to_vec(),
                ));
            }),
        ),
        (
            "less than the index",
            change(&|members| {
                members.pop();
            }),
        ),
        (
            "a file twice",
            change(&|members| {
                members.push(members[1].clone());
            }),
        ),
        (
            "no index",
            change(&|members| {
                members.remove(0);
            }),
        ),
        ("nothing", Vec::new()),
        (
            "other bytes",
            change(&|members| members[position("vmlinux")].2[9] ^= 1),
        ),
        (
            "a longer file",
            change(&|members| members[position("vmlinux")].2.push(0)),
        ),
        (
            "an unknown schema",
            change(&|members| {
                with_index(members, |index| index["schema"] = "ukci.cache/9".into());
            }),
        ),
        (
            "a size of 8 GiB",
            change(&|members| {
                with_index(members, |index| {
                    index["files"][name("vmlinux")]["size"] = (8_u64 << 30).into();
                });
            }),
        ),
        (
            "other bytes with their digest",
            change(&|members| {
                let at = position("vmlinux");
                members[at].2[9] ^= 1;
                let digest = digest::of(&members[at].2);
                with_index(members, |index| {
                    index["files"][name("vmlinux")]["sha256"] = digest.into();
                });
            }),
        ),
        (
            "no manifest",
            change(&|members| {
                members.retain(|(name, ..)| !name.ends_with("kernel.json"));
                with_index(members, |index| {
                    index["files"]
                        .as_object_mut()
                        .unwrap()
                        .remove(&name("kernel.json"));
                });
            }),
        ),
    ];
    let archive = moved.dir.path().join("hostile.tar.zst");
    let here = moved.dir.path().join("here");
    let mut said = Vec::new();
    for (what, members) in hostile {
        write(&members, &archive);
        let error = cache::import(&archive, &here).expect_err(what);
        let text = error
            .to_string()
            .replace(&*archive.to_string_lossy(), "FILE");
        // The digest of the package depends on who compressed it: flate2 has several backends.
        let text = text
            .replace(&key, "KEY")
            .replace(&moved.kernel.packages[0].sha256, "PACKAGE");
        said.push(format!("{what}: {text}"));
        let left: Vec<_> = fs::read_dir(&here).unwrap().collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        assert!(!moved.dir.path().join("evil").exists(), "{what}");
    }
    insta::assert_snapshot!(said.join("\n"));
    let bytes = fs::read(&moved.archive).unwrap();
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&archive, &bytes[..length]).unwrap();
        cache::import(&archive, &here).unwrap_err();
    }
    write(&whole, &archive);
    cache::import(&archive, &here).unwrap();
}
