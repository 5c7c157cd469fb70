//! User kernels that a server has.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use super::super::fetch::Fetcher;
use super::super::remote::Remote;
use super::super::testing::{Mirror, Reply, vmlinuz};
use super::super::{Progress, digest};
use super::catalogue;

const RELEASE: &str = "6.1.0-1-amd64";

#[test]
fn a_file_is_downloaded_once_and_only_with_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let image = vmlinuz(RELEASE);
    let server = Mirror::new([
        ("k/bzImage".to_owned(), Reply::File(image.clone())),
        ("k/other".to_owned(), Reply::File(b"other bytes".to_vec())),
        ("k/endless".to_owned(), Reply::Endless),
        ("k/resumed".to_owned(), Reply::BreaksOff(image.clone(), 500)),
    ]);
    let sha256 = digest::of(&image);
    let address = |name: &str| PathBuf::from(format!("{}/k/{name}#sha256={sha256}", server.root));
    let catalogue = catalogue(dir.path(), &[]);
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().unwrap().push(progress);

    let kernel = address("bzImage");
    for _ in 0..2 {
        catalogue.download(&kernel, &tell).unwrap();
    }
    assert_eq!(server.requests(), ["k/bzImage"]);
    let prepared = catalogue
        .own_kernel(&kernel, &[], catalogue.arch_of(&kernel, &[]).unwrap())
        .unwrap();
    assert_eq!(prepared.kernel.name, "bzImage");
    assert_eq!(prepared.kernel.release, RELEASE);
    assert!(!prepared.kernel.hermetic);
    let first = told.lock().unwrap()[0].clone();
    let Progress::Fetching { package, from, .. } = first else {
        panic!("{first:?}")
    };
    assert_eq!(
        (package.as_str(), from),
        ("bzImage", format!("{}/k", server.root))
    );

    // Under another name, the bytes are the same, and nothing is downloaded.
    catalogue.download(&address("absent"), &tell).unwrap();
    fs::remove_dir_all(dir.path().join("packages")).unwrap();
    let refused = |name: &str| {
        let fetcher = Fetcher::new(&catalogue.store, &catalogue.mirrors).at_most(1 << 20);
        let remote = Remote::parse(&address(name)).unwrap().unwrap();
        let error = fetcher.fetch_remote(&remote, &tell).unwrap_err();
        assert!(
            !dir.path()
                .join("packages")
                .join(remote.file_name())
                .exists()
        );
        error.to_string()
    };
    assert!(
        refused("absent").ends_with("not found"),
        "{}",
        refused("absent")
    );
    let other = refused("other");
    assert!(other.contains("is not the file with SHA-256"), "{other}");
    assert!(other.contains(&digest::of(b"other bytes")), "{other}");
    let endless = refused("endless");
    assert!(endless.contains("more than 1048576 bytes"), "{endless}");
    catalogue.download(&address("resumed"), &tell).unwrap();
}
