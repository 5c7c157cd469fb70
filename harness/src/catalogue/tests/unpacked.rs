//! Boot files made without a store are those of the store.

use super::*;

#[test]
fn a_directory_has_the_files_of_the_store() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package.clone()))]);
    let stored = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap();

    let here = tempfile::tempdir().unwrap();
    let (file, other) = (here.path().join("any-name"), here.path().join("other"));
    fs::write(&file, &package).unwrap();
    fs::write(&other, b"of another kernel").unwrap();
    let out = here.path().join("out");
    unpack(&kernel, &[other, file], &out).unwrap();
    let unpacked = open(&kernel.name, &out, true).unwrap();

    let digests =
        |kernel: &PlannedKernel| (kernel.image.sha256.clone(), kernel.segment.sha256.clone());
    assert_eq!(digests(&unpacked), digests(&stored.kernel));
    assert_eq!(unpacked.packages, stored.kernel.packages);
    assert_eq!(unpacked.release, RELEASE);
    for file in [&unpacked.image, &unpacked.segment] {
        assert_eq!(digest::of_file(&file.path).unwrap(), file.sha256);
    }
    let text = fs::read_to_string(out.join("kernel.json")).unwrap();
    let dir = here.path().display().to_string();
    assert!(!text.contains(&dir), "it says where it was made: {text}");
}

#[test]
fn only_the_locked_bytes_are_unpacked() {
    let (_, mut package, kernel) = setup();
    let here = tempfile::tempdir().unwrap();
    let (file, out) = (here.path().join("x.deb"), here.path().join("out"));
    package.push(0);
    fs::write(&file, &package).unwrap();
    let error = unpack(&kernel, &[file], &out).unwrap_err();
    assert!(
        error.to_string().contains(&kernel.packages[0].sha256),
        "{error}"
    );
    assert!(!out.exists());
}

#[test]
fn half_a_directory_is_none() {
    let (_, package, kernel) = setup();
    let here = tempfile::tempdir().unwrap();
    let (file, out) = (here.path().join("x.deb"), here.path().join("out"));
    fs::write(&file, &package).unwrap();
    unpack(&kernel, std::slice::from_ref(&file), &out).unwrap();
    assert!(matches!(
        unpack(&kernel, &[file], &out),
        Err(Error::Io {
            action: "create",
            ..
        })
    ));
    fs::write(out.join("segment.cpio"), b"").unwrap();
    assert!(open(&kernel.name, &out, true).is_err());
}
