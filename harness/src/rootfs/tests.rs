//! Images from directories, archives and containers, and what is refused.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::*;
use crate::catalogue::digest;

/// An entry of an archive: its name, its type, and its bytes or the target of a link.
type Entry<'a> = (&'a str, EntryType, &'a [u8]);

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, bytes) in entries {
        let mut header = Header::new_gnu();
        // Written raw: `set_path` refuses what the tests must be able to make.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..bytes.len()].copy_from_slice(bytes);
        }
        let bytes = if is_link { &[] } else { *bytes };
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;
const DIR: EntryType = EntryType::Directory;

/// The image of these bytes, in a cache of its own.
fn image_of(bytes: &[u8]) -> Result<(tempfile::TempDir, Image), Error> {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::write(&source, bytes).unwrap();
    let made = image(&source, Arch::X86_64, &dir.path().join("cache"), &|_| ())?;
    Ok((dir, made))
}

fn read(image: &Image, name: &str) -> Option<String> {
    let bytes = image.start_of(Path::new(name), 1 << 20)?;
    Some(String::from_utf8(bytes).unwrap())
}

#[test]
fn an_archive_in_every_compression_becomes_an_image_once() {
    let plain = tar(&[
        ("./", DIR, b""),
        ("./usr/bin/tool", FILE, b"tool"),
        ("./bin", LINK, b"usr/bin"),
        ("./usr/bin/same", HARD, b"./usr/bin/tool"),
        ("./absolute", LINK, b"/bin/tool"),
        ("dev/null", EntryType::Char, b""),
    ]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&plain).unwrap();
    let zst = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for bytes in [plain, gz.finish().unwrap(), xz.finish().unwrap(), zst] {
        let (dir, made) = image_of(&bytes).unwrap();
        for name in ["usr/bin/tool", "bin/tool", "/bin/same", "absolute"] {
            assert_eq!(read(&made, name).as_deref(), Some("tool"), "{name}");
        }
        assert_eq!(read(&made, "bin/none"), None);
        // Devices come from the kernel.
        assert_eq!(read(&made, "dev/null"), None);
        let again = image(
            &dir.path().join("source"),
            Arch::X86_64,
            &dir.path().join("cache"),
            &|step| {
                assert!(
                    matches!(step, Progress::Reading { .. }),
                    "it is in the cache"
                );
            },
        );
        assert_eq!(again.unwrap().root, made.root);
    }
}

#[test]
fn a_directory_is_named_by_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/name"), "one").unwrap();
    // A link is not followed on this host.
    std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
    let cache = dir.path().join("cache");
    let one = image(&root, Arch::X86_64, &cache, &|_| ()).unwrap();
    assert_eq!(read(&one, "etc/name").unwrap(), "one");
    assert_eq!(read(&one, "link"), None);
    fs::write(root.join("etc/name"), "two").unwrap();
    let two = image(&root, Arch::X86_64, &cache, &|_| ()).unwrap();
    assert_ne!(one.root.sha256, two.root.sha256);
    assert_eq!(read(&two, "etc/name").unwrap(), "two");
}

/// A terminal shows how far it is.
#[test]
fn every_byte_is_told_of_twice_and_too_many_are_refused_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("one"), vec![1; 300_000]).unwrap();
    fs::write(root.join("two"), vec![2; 100_000]).unwrap();
    let cache = dir.path().join("cache");
    let steps = std::sync::Mutex::new(Vec::new());
    image(&root, Arch::X86_64, &cache, &|step| {
        steps.lock().unwrap().push(step);
    })
    .unwrap();
    let steps = steps.into_inner().unwrap();
    let (done, total) = (400_000, 400_000);
    assert_eq!(steps[0], Progress::Reading { done: 0, total });
    assert!(
        steps.contains(&Progress::Reading { done, total }),
        "{steps:?}"
    );
    assert!(
        steps.contains(&Progress::Making { done: 0, total }),
        "{steps:?}"
    );
    assert!(
        steps.contains(&Progress::Making { done, total }),
        "{steps:?}"
    );
    // It takes no room.
    fs::File::create(root.join("sparse"))
        .unwrap()
        .set_len(9 << 30)
        .unwrap();
    let error = image(&root, Arch::X86_64, &cache, &|_| panic!("nothing is read")).unwrap_err();
    assert!(matches!(error, Error::TooLarge(_)), "{error}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--host-root"))
    );
}

#[test]
fn what_is_no_archive_is_called_so() {
    for bytes in [&b"\x7fELF\x02\x01\x01"[..], &[0x7f; 2000], b"text"] {
        let error = image_of(bytes).unwrap_err().to_string();
        assert!(error.ends_with("it is not a tar archive"), "{error}");
    }
}

/// Nothing is written but below the cache, wherever an archive points.
#[test]
fn archives_that_lead_out_of_the_root_do_no_harm() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "whole").unwrap();
    let target = outside.path().to_str().unwrap().as_bytes();
    let (_dir, made) = image_of(&tar(&[
        ("out", LINK, target),
        ("out/victim", FILE, b"damaged"),
        ("/absolute", FILE, b"within"),
    ]))
    .unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "whole");
    assert_eq!(read(&made, "absolute").unwrap(), "within");
    // It is in the image, below the root of the guest.
    assert_eq!(read(&made, victim.to_str().unwrap()).unwrap(), "damaged");

    let up = image_of(&tar(&[("../victim", FILE, b"damaged")])).unwrap_err();
    assert!(up.to_string().contains("points outside"), "{up}");
    let up = image_of(&tar(&[("a/../../victim", FILE, b"damaged")])).unwrap_err();
    assert!(up.to_string().contains("points outside"), "{up}");
    let (_dir, made) = image_of(&tar(&[
        ("up", LINK, b"../../../.."),
        ("up/etc/name", FILE, b"within"),
    ]))
    .unwrap();
    assert_eq!(read(&made, "etc/name").unwrap(), "within");
    let round = image_of(&tar(&[
        ("a", LINK, b"b"),
        ("b", LINK, b"a"),
        ("a/x", FILE, b""),
    ]))
    .unwrap_err();
    assert!(round.to_string().contains("too many links"), "{round}");
    let hard = image_of(&tar(&[("x", HARD, b"/etc/passwd")])).unwrap_err();
    assert!(hard.to_string().contains("which is not there"), "{hard}");
    let file = image_of(&tar(&[("a", FILE, b""), ("a/b", FILE, b"")])).unwrap_err();
    assert!(file.to_string().contains("is in no directory"), "{file}");
}

#[test]
fn archives_that_are_damaged_or_claim_too_much_are_refused() {
    let whole = tar(&[("a", FILE, &[7; 4096])]);
    for length in [0, 100, 600, 4000] {
        assert!(image_of(&whole[..length]).is_err(), "{length}");
    }
    assert!(image_of(b"not an archive, but a text that is long enough to be read as one").is_err());
    assert!(matches!(image_of(&tar(&[])), Err(Error::Empty(_))));
    let mut header = Header::new_gnu();
    header.set_path("sparse").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_size(0);
    header.as_gnu_mut().unwrap().set_real_size(1 << 50);
    header.set_cksum();
    let mut bomb = Builder::new(Vec::new());
    bomb.append(&header, std::io::empty()).unwrap();
    assert!(image_of(&bomb.into_inner().unwrap()).is_err());
}

/// Writes an OCI layout and returns the digest of its manifest.
fn layout(dir: &Path, layers: &[Vec<u8>], architecture: &str) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = digest::of(bytes);
        fs::write(blobs.join(&digest), bytes).unwrap();
        format!("sha256:{digest}")
    };
    let layers: Vec<_> = (layers.iter())
        .map(|bytes| serde_json::json!({ "digest": blob(bytes) }))
        .collect();
    let manifest = serde_json::json!({ "schemaVersion": 2, "layers": layers });
    let manifest = blob(&serde_json::to_vec(&manifest).unwrap());
    let platform = serde_json::json!({ "os": "linux", "architecture": architecture });
    let index = serde_json::json!({ "manifests": [{ "digest": manifest, "platform": platform }] });
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn layers() -> Vec<Vec<u8>> {
    vec![
        tar(&[
            ("usr/bin/a", FILE, b"first"),
            ("usr/bin/b", FILE, b"first"),
            ("bin", LINK, b"usr/bin"),
            ("opt/old", FILE, b"old"),
            ("opt/deep/old", FILE, b"old"),
            ("srv/again/y", FILE, b"old"),
        ]),
        zstd::encode_all(
            tar(&[
                ("bin/.wh.a", FILE, b""),
                ("bin/b", FILE, b"second"),
                // A layer removes only what lower ones have, wherever its archive says so.
                ("opt/!early", FILE, b"early"),
                ("opt/.wh..wh..opq", FILE, b""),
                ("opt/new", FILE, b"new"),
                ("srv/again/x", FILE, b"again"),
                ("srv/.wh.again", FILE, b""),
            ])
            .as_slice(),
            1,
        )
        .unwrap(),
    ]
}

fn check_layers(made: &Image) {
    assert_eq!(read(made, "bin/a"), None);
    assert_eq!(read(made, "usr/bin/b").unwrap(), "second");
    for gone in ["opt/old", "opt/deep/old", "srv/again/y"] {
        assert_eq!(read(made, gone), None, "{gone}");
    }
    assert_eq!(read(made, "opt/!early").unwrap(), "early");
    assert_eq!(read(made, "srv/again/x").unwrap(), "again");
    assert_eq!(read(made, "opt/new").unwrap(), "new");
    assert_eq!(read(made, "oci-layout"), None);
}

#[test]
fn layers_of_a_container_image_lie_over_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("layout");
    layout(&source, &layers(), "amd64");
    let cache = dir.path().join("cache");
    check_layers(&image(&source, Arch::X86_64, &cache, &|_| ()).unwrap());
    let other = image(&source, Arch::Aarch64, &cache, &|_| ()).unwrap_err();
    assert!(
        other.to_string().contains("no image for linux/arm64"),
        "{other}"
    );

    // As `docker save` writes it: an archive of archives.
    let [first, second] = layers().try_into().unwrap();
    let manifest =
        br#"[{"Config":"c.json","RepoTags":null,"Layers":["1/layer.tar","2/layer.tar"]}]"#;
    let saved = tar(&[
        ("1/layer.tar", FILE, &first),
        ("2/layer.tar", FILE, &second),
        ("manifest.json", FILE, manifest),
    ]);
    check_layers(&image_of(&saved).unwrap().1);
}

/// Writes an OCI layout of images with a layer each: their tags, and the architectures that their
/// configurations name. The index says nothing of these.
fn tagged(dir: &Path, images: &[(&str, &str)]) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = digest::of(bytes);
        fs::write(blobs.join(&digest), bytes).unwrap();
        format!("sha256:{digest}")
    };
    let json = |value: serde_json::Value| blob(&serde_json::to_vec(&value).unwrap());
    let manifests: Vec<_> = (images.iter())
        .map(|(tag, architecture)| {
            let layer = blob(&tar(&[("name", FILE, tag.as_bytes())]));
            let config = json(serde_json::json!({ "os": "linux", "architecture": architecture }));
            let manifest = json(serde_json::json!({
                "config": { "digest": config },
                "layers": [{ "digest": layer }],
            }));
            let annotations = serde_json::json!({ "org.opencontainers.image.ref.name": tag });
            serde_json::json!({ "digest": manifest, "annotations": annotations })
        })
        .collect();
    let index = serde_json::json!({ "manifests": manifests });
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[test]
fn one_of_several_images_is_named_and_its_configuration_says_what_it_is_for() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let of = |source: &str, arch| image(&dir.path().join(source), arch, &cache, &|_| ());
    tagged(
        &dir.path().join("two"),
        &[
            ("t1", "amd64"),
            ("x.y/debian:t2", "amd64"),
            ("arm", "arm64"),
        ],
    );
    for (name, read_name) in [
        ("t1", "t1"),
        ("t2", "x.y/debian:t2"),
        ("x.y/debian:t2", "x.y/debian:t2"),
    ] {
        let made = of(&format!("two@{name}"), Arch::X86_64).unwrap();
        assert_eq!(read(&made, "name").unwrap(), read_name);
        assert!(made.root.source.ends_with(&format!("@{name}")));
    }
    let several = of("two", Arch::X86_64).unwrap_err();
    assert!(
        several.to_string().contains("several images: arm, t1"),
        "{several}"
    );
    assert!(several.hint().unwrap().contains("two@arm"));
    // Only one of them is for such a guest.
    assert_eq!(
        read(&of("two", Arch::Aarch64).unwrap(), "name").unwrap(),
        "arm"
    );
    for (source, says) in [
        ("two@t3", "no image `t3`, but arm, t1"),
        ("two@arm", "no image for linux/amd64, only for linux/arm64"),
    ] {
        let error = of(source, Arch::X86_64).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    tagged(&dir.path().join("arm"), &[("latest", "arm64")]);
    let other = of("arm", Arch::X86_64).unwrap_err();
    assert!(
        other.to_string().contains("only for linux/arm64"),
        "{other}"
    );
    assert!(of("arm", Arch::Aarch64).is_ok());

    // As `docker save` writes it.
    let saved = tar(&[
        ("1.tar", FILE, &tar(&[("name", FILE, b"one")])),
        ("2.tar", FILE, &tar(&[("name", FILE, b"two")])),
        ("1.json", FILE, br#"{"os":"linux","architecture":"amd64"}"#),
        ("2.json", FILE, br#"{"os":"linux","architecture":"arm64"}"#),
        (
            "manifest.json",
            FILE,
            br#"[{"Config":"1.json","RepoTags":["a:1"],"Layers":["1.tar"]},
                {"Config":"2.json","RepoTags":["a:2"],"Layers":["2.tar"]}]"#,
        ),
    ]);
    fs::write(dir.path().join("saved"), saved).unwrap();
    assert_eq!(
        read(&of("saved@a:1", Arch::X86_64).unwrap(), "name").unwrap(),
        "one"
    );
    let other = of("saved@2", Arch::X86_64).unwrap_err();
    assert!(
        other.to_string().contains("only for linux/arm64"),
        "{other}"
    );
    assert!(matches!(
        of("saved", Arch::X86_64),
        Err(Error::Several { .. })
    ));
}

#[test]
fn a_blob_with_another_digest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("layout");
    layout(&source, &layers(), "amd64");
    let blobs: Vec<PathBuf> = fs::read_dir(source.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for blob in blobs {
        let whole = fs::read(&blob).unwrap();
        fs::write(&blob, [&whole[..], b"x"].concat()).unwrap();
        let error = image(&source, Arch::X86_64, &dir.path().join("cache"), &|_| ()).unwrap_err();
        assert!(error.to_string().contains("has another digest"), "{error}");
        fs::write(&blob, whole).unwrap();
    }
}
