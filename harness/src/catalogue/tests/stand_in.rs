//! What stands in for a pinned kernel that is gone, and what may not.

use super::*;
use crate::catalogue::keyring::tests as signing;

/// A suite's index over these packages, signed.
fn suite(
    packages: &[(&LockedKernel, &[u8])],
    key: &pgp::composed::SignedSecretKey,
) -> Vec<(String, Reply)> {
    let list: Vec<String> = packages
        .iter()
        .map(|(kernel, _)| {
            let one = &kernel.packages[0];
            format!(
                "Package: {}\nVersion: {}\nFilename: {}\nSize: {}\nSHA256: {}\n\n",
                one.name, one.version, one.path, one.size, one.sha256
            )
        })
        .collect();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    std::io::Write::write_all(&mut xz, list.concat().as_bytes()).unwrap();
    let xz = xz.finish().unwrap();
    let name = "main/binary-amd64/Packages.xz";
    let release = format!(
        "Suite: oldstable\nCodename: bookworm\nDate: Sat, 21 Nov 2026 02:18:21 UTC\nSHA256:\n {} {} {name}\n",
        digest::of(&xz),
        xz.len()
    );
    let signed = signing::sign(&release, &key.secret_subkeys[0].key);
    let mut files: Vec<(String, Reply)> = packages
        .iter()
        .map(|(kernel, bytes)| pool(kernel, Reply::File(bytes.to_vec())))
        .collect();
    files.push(("dists/bookworm/InRelease".into(), Reply::File(signed)));
    files.push((format!("dists/bookworm/{name}"), Reply::File(xz)));
    files
}

#[test]
fn a_newer_kernel_stands_in_for_one_that_is_gone_unless_locked() {
    let (cache, _, kernel) = setup();
    let package = kernel_package("6.1.0-2-amd64");
    let newer = locked("6.1.0-2-amd64", "6.1.101-1", &package);
    let key = signing::key();
    let mirror = Mirror::new(suite(&[(&newer, &package)], &key));
    let mut strict = catalogue(cache.path(), &[&mirror], true);
    strict.keyrings = signing::keyring(cache.path(), &[&key]);
    let error = prepare(&strict, &kernel).unwrap_err();
    let text = error.to_string().replace(&mirror.root, "http://mirror");
    insta::assert_snapshot!(text, @"`linux-image-6.1.0-1-amd64` 6.1.100-1 is gone from every mirror that answered: http://mirror/pool/linux-image-6.1.0-1-amd64.deb: not found");
    insta::assert_snapshot!(error.hint().unwrap(), @"the suite has 6.1.101-1 now: run without `--locked` to use it, or update the lock");

    let mut lenient = catalogue(cache.path(), &[&mirror], false);
    lenient.keyrings = strict.keyrings.clone();
    for attempt in 0..2 {
        assert_eq!(lenient.is_prepared(&kernel), attempt == 1);
        let prepared = prepare(&lenient, &kernel).unwrap();
        assert_eq!(prepared.kernel.name, kernel.name);
        assert_eq!(prepared.kernel.release, "6.1.0-2-amd64");
        assert!(!prepared.kernel.hermetic);
        let warnings = prepared.warnings.join("\n");
        insta::allow_duplicates!(
            insta::assert_snapshot!(warnings, @"`debian-12-6.1`: the pinned 6.1.100-1 is gone from every mirror; using 6.1.101-1, the newest that the signed index of bookworm names")
        );
        // The second time nothing is asked of anyone.
        mirror.empty();
    }
    assert!(!strict.is_prepared(&kernel));
}

#[test]
fn nothing_stands_in_without_a_valid_signature() {
    let (cache, _, kernel) = setup();
    let package = kernel_package("6.1.0-2-amd64");
    let newer = locked("6.1.0-2-amd64", "6.1.101-1", &package);
    let (key, stranger) = (signing::key(), signing::key());
    let mirror = Mirror::new(suite(&[(&newer, &package)], &stranger));
    let mut catalogue = catalogue(cache.path(), &[&mirror], false);
    catalogue.keyrings = signing::keyring(cache.path(), &[&key]);
    let error = prepare(&catalogue, &kernel).unwrap_err();
    let Error::NoSuccessor { source, .. } = &error else {
        panic!("{error}")
    };
    let text = source.to_string();
    assert!(
        text.starts_with("failed to trust the index of `bookworm`: http://"),
        "{text}"
    );
    assert!(
        text.contains("no valid signature by a key of Debian's"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("debian-archive-keyring"));
}

#[test]
fn an_index_of_another_suite_or_with_other_packages_is_not_trusted() {
    let (cache, _, mut kernel) = setup();
    let package = kernel_package("6.1.0-2-amd64");
    let newer = locked("6.1.0-2-amd64", "6.1.101-1", &package);
    let key = signing::key();
    let mut files = suite(&[(&newer, &package)], &key);
    files.push(files[1].clone());
    files[3].0 = "dists/trixie/InRelease".into();
    // Signed for bookworm, served with another list.
    files[2].1 = Reply::File(b"something else".to_vec());
    let mirror = Mirror::new(files);
    let mut catalogue = catalogue(cache.path(), &[&mirror], false);
    catalogue.keyrings = signing::keyring(cache.path(), &[&key]);
    let reason = |kernel: &LockedKernel| match prepare(&catalogue, kernel).unwrap_err() {
        Error::NoSuccessor { source, .. } => source.to_string(),
        other => panic!("{other}"),
    };
    assert!(reason(&kernel).ends_with("Packages.xz` is not the file that was signed"));
    kernel.provenance.suite = "trixie".into();
    assert!(reason(&kernel).ends_with("it is the index of bookworm (oldstable)"));
}
