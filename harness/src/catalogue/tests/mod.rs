//! The catalogue through its front door, against a mirror on this host and a kernel of a few bytes.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use ukci_schema::lock::Role;

use super::testing::{Mirror, Reply, kernel_package, locked, module, vmlinux, vmlinuz};
use super::*;

mod damage;
mod moved;
mod own;
mod remote;
mod unpacked;

const RELEASE: &str = "6.1.0-1-amd64";

fn catalogue(cache: &Path, mirrors: &[&Mirror]) -> Catalogue {
    let roots: Vec<&str> = mirrors.iter().map(|mirror| mirror.root.as_str()).collect();
    let lock = Lock {
        schema: ukci_schema::lock::SCHEMA.into(),
        kernels: Vec::new(),
        tools: Vec::new(),
        history: Vec::new(),
    };
    Catalogue {
        cache: cache.to_owned(),
        lock,
        store: Store::new(cache),
        mirrors: Mirrors::only(&roots),
    }
}

fn prepare(catalogue: &Catalogue, kernel: &LockedKernel) -> Result<Prepared, Error> {
    catalogue.prepare(kernel, &|_| {})
}

fn pool(kernel: &LockedKernel, reply: Reply) -> (String, Reply) {
    (kernel.packages[0].path.clone(), reply)
}

fn setup() -> (tempfile::TempDir, Vec<u8>, LockedKernel) {
    let package = kernel_package(RELEASE);
    let kernel = locked(RELEASE, "6.1.100-1", &package);
    (tempfile::tempdir().unwrap(), package, kernel)
}

/// The names in a newc archive.
fn names(archive: &Path) -> Vec<String> {
    let entries = crate::cpio::tests::parse(&fs::read(archive).unwrap());
    entries.into_iter().map(|entry| entry.name).collect()
}

fn kept(cache: &Path) -> Vec<String> {
    let mut kept: Vec<String> = fs::read_dir(cache.join("packages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.split_once('.').unwrap().1.to_owned())
        .collect();
    kept.sort();
    kept
}

#[test]
fn a_kernel_is_fetched_and_unpacked_once() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(cache.path(), &[&mirror]);
    assert!(!catalogue.is_prepared(&kernel));
    let said = Mutex::new(Vec::new());
    let prepared = catalogue
        .prepare(&kernel, &|one| said.lock().unwrap().push(one))
        .unwrap();
    let planned = &prepared.kernel;
    assert_eq!(
        (planned.release.as_str(), planned.hermetic),
        (RELEASE, true)
    );
    assert_eq!(
        fs::read(&planned.image.path).unwrap(),
        vmlinux(RELEASE, true)
    );
    assert_eq!(
        digest::of_file(&planned.image.path).unwrap(),
        planned.image.sha256
    );
    assert_eq!(
        digest::of_file(&planned.segment.path).unwrap(),
        planned.segment.sha256
    );
    assert_eq!(
        planned.packages[&kernel.packages[0].name],
        kernel.packages[0].sha256
    );
    assert_eq!(
        names(&planned.segment.path),
        [
            "boot",
            "boot/config-6.1.0-1-amd64",
            "lib",
            "lib/ukci",
            "lib/ukci/serial",
            "lib/ukci/serial/00-virtio_ring.ko",
            "lib/ukci/serial/01-virtio.ko",
            "lib/ukci/serial/02-odd_dep.ko",
            "lib/ukci/serial/03-virtio_pci.ko",
            "lib/ukci/vsock",
            "lib/ukci/vsock/00-virtio_ring.ko",
            "lib/ukci/vsock/01-virtio.ko",
            "lib/ukci/vsock/02-odd_dep.ko",
            "lib/ukci/vsock/03-virtio_pci.ko",
            "lib/ukci/vsock/04-vsock.ko",
            "lib/ukci/vsock/05-vmw_vsock_virtio_transport.ko",
        ]
    );
    let said = said.into_inner().unwrap();
    assert_eq!(
        said.last(),
        Some(&Progress::Unpacking {
            kernel: kernel.name.clone()
        })
    );
    let from =
        |one: &Progress| matches!(one, Progress::Fetching { from, .. } if *from == mirror.root);
    assert!(said.iter().any(from), "{said:?}");
    assert!(said.contains(&Progress::Fetched {
        package: kernel.packages[0].name.clone()
    }));

    assert!(catalogue.is_prepared(&kernel));
    prepare(&catalogue, &kernel).unwrap();
    assert_eq!(mirror.requests(), [kernel.packages[0].path.as_str()]);
}

#[test]
fn an_older_version_is_told_with_its_version() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package.clone()))]);
    let mut catalogue = catalogue(cache.path(), &[&mirror]);
    catalogue.lock.kernels = vec![locked(RELEASE, "6.1.200-1", &package)];
    let said = Mutex::new(Vec::new());
    let tell = |one| said.lock().unwrap().push(one);
    catalogue.prepare(&kernel, &tell).unwrap();
    let unpacking = Progress::Unpacking {
        kernel: format!("{}@6.1.100-1", kernel.name),
    };
    assert_eq!(said.into_inner().unwrap().last(), Some(&unpacking));
}

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let (cache, package, kernel) = setup();
    let path = &kernel.packages[0].path;
    let mirror = Mirror::new([pool(&kernel, Reply::BreaksOff(package, 700))]);
    let prepared = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap();
    assert!(prepared.warnings.is_empty(), "{:?}", prepared.warnings);
    assert_eq!(
        mirror.requests(),
        [path.clone(), format!("{path} from 700")]
    );
}

#[test]
fn a_mirror_without_ranges_sends_all_again() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::BreaksOffNoRanges(package, 700))]);
    prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap();
    assert_eq!(mirror.requests().len(), 2);
    assert_eq!(kept(cache.path()), ["deb"]);
}

#[test]
fn what_another_run_left_is_resumed() {
    let (cache, package, kernel) = setup();
    fs::create_dir_all(cache.path().join("packages")).unwrap();
    let part = cache
        .path()
        .join(format!("packages/{}.deb.part", kernel.packages[0].sha256));
    fs::write(&part, &package[..500]).unwrap();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap();
    assert_eq!(
        mirror.requests(),
        [format!("{} from 500", kernel.packages[0].path)]
    );
    assert!(!part.exists());
}

#[test]
fn a_damaged_package_is_kept_and_fetched_once_more_from_the_next_mirror() {
    let (cache, package, kernel) = setup();
    let short = Mirror::new([pool(&kernel, Reply::File(package[..900].to_vec()))]);
    let good = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(cache.path(), &[&short, &good]);
    let prepared = prepare(&catalogue, &kernel).unwrap();
    assert_eq!(kept(cache.path()), ["corrupt-1", "deb"]);
    let warning = prepared.warnings.join("\n");
    assert!(
        warning.contains("arrived damaged (900 bytes instead of "),
        "{warning}"
    );
    assert!(warning.contains(".corrupt-1`, fetched again"), "{warning}");
    assert!(prepared.kernel.hermetic);
}

#[test]
fn wrong_bytes_twice_are_an_error_that_names_both() {
    let (cache, package, kernel) = setup();
    let mut wrong = package.clone();
    wrong[1000] ^= 1;
    let mirror = Mirror::new([pool(&kernel, Reply::File(wrong.clone()))]);
    let error = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap_err();
    assert_eq!(mirror.requests().len(), 2);
    assert_eq!(kept(cache.path()), ["corrupt-1", "corrupt-2"]);
    let text = error.to_string();
    assert!(
        text.contains(&kernel.packages[0].sha256) && text.contains(&digest::of(&wrong)),
        "{text}"
    );
    assert!(
        text.contains(".corrupt-1`, `") && text.ends_with(".corrupt-2`"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("UKCI_MIRROR_DEBIAN"));
}

#[test]
fn a_package_that_rotted_in_the_cache_is_kept_and_fetched_again() {
    let (cache, package, kernel) = setup();
    let mut rotten = package.clone();
    rotten[1000] ^= 1;
    let path = cache
        .path()
        .join(format!("packages/{}.deb", kernel.packages[0].sha256));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, rotten).unwrap();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let prepared = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap();
    assert_eq!(kept(cache.path()), ["corrupt-1", "deb"]);
    assert!(
        prepared.warnings[0].contains("in the cache was damaged"),
        "{:?}",
        prepared.warnings
    );
}

#[test]
fn mirrors_that_do_not_answer_are_all_named() {
    let (cache, _, kernel) = setup();
    let broken = Mirror::new([pool(&kernel, Reply::Status(503))]);
    let mut catalogue = catalogue(cache.path(), &[&broken]);
    catalogue.mirrors = Mirrors::only(&["http://127.0.0.1:1", &broken.root]);
    let error = prepare(&catalogue, &kernel).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. }), "{error}");
    let text = error.to_string();
    // The mirrors of another archive would not help.
    let hint = error.hint().unwrap();
    assert!(hint.contains("UKCI_MIRROR_DEBIAN to"), "{hint}");
    let of_fedora = Error::Fetch {
        what: "`kernel-core`".into(),
        archive: "fedora".into(),
        tried: Vec::new(),
    };
    let hint = of_fedora.hint().unwrap();
    let variable = ["UKCI", "MIRROR", "FEDORA"].join("_");
    assert!(hint.contains(&variable), "{hint}");
    assert!(
        text.contains("http://127.0.0.1:1/pool/") && text.ends_with("HTTP status 503"),
        "{text}"
    );
}

#[test]
fn a_full_disk_is_named() {
    let (cache, package, kernel) = setup();
    let packages = cache.path().join("packages");
    fs::create_dir_all(&packages).unwrap();
    let part = packages.join(format!("{}.deb.part", kernel.packages[0].sha256));
    // Every write to it ends in ENOSPC.
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let error = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap_err();
    assert!(
        matches!(&error, Error::DiskFull { dir, .. } if *dir == packages),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.ends_with("packages`: the file system is full"),
        "{text}"
    );
    assert!(error.hint().unwrap().starts_with("free some space"));
}

#[test]
fn a_populated_cache_is_never_written() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(cache.path(), &[&mirror]);
    prepare(&catalogue, &kernel).unwrap();
    // Root may write anywhere, so permissions would prove nothing: put files where any lock,
    // download or temporary directory would have to go.
    for dir in ["locks", "packages"] {
        fs::remove_dir_all(cache.path().join(dir)).unwrap();
        fs::write(cache.path().join(dir), "").unwrap();
    }
    prepare(&catalogue, &kernel).unwrap();
    let other = locked("6.1.0-2-amd64", "6.1.101-1", b"");
    let error = prepare(&catalogue, &other).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                action: "create",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_read_only_cache_that_lacks_the_kernel_says_so() {
    let source = || std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    let error = Error::io("create", Path::new("/cache/locks"), source());
    insta::assert_snapshot!(error, @"failed to write below `/cache`: the cache is read-only");
    insta::assert_snapshot!(error.hint().unwrap(), @"run `ukci kernels fetch` where the cache can be written, or set XDG_CACHE_HOME to a writable directory");
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    assert!(matches!(
        Error::io("read", Path::new("/x/y"), denied),
        Error::Io { .. }
    ));
}

#[test]
fn many_at_once_fetch_one_package_once() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // Each with its own open files, as other processes have.
            scope.spawn(|| prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap());
        }
    });
    assert_eq!(mirror.requests().len(), 1);
}

#[test]
fn an_entry_that_is_not_whole_is_made_anew() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(cache.path(), &[&mirror]);
    let image = prepare(&catalogue, &kernel).unwrap().kernel.image.path;
    let stale = cache
        .path()
        .join("store")
        .join(format!(".tmp-{}", key(&kernel)));
    fs::create_dir(&stale).unwrap();
    fs::write(stale.join("vmlinux"), "half").unwrap();
    fs::write(&image, "short").unwrap();
    assert!(!catalogue.is_prepared(&kernel));
    prepare(&catalogue, &kernel).unwrap();
    assert_eq!(fs::read(&image).unwrap(), vmlinux(RELEASE, true));
    assert!(!stale.exists());
    // The package was still there.
    assert_eq!(mirror.requests().len(), 1);
}

#[test]
fn a_package_of_another_kernel_is_refused() {
    let (cache, _, _) = setup();
    let package = kernel_package("6.1.0-2-amd64");
    let kernel = locked(RELEASE, "6.1.100-1", &package);
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let error = prepare(&catalogue(cache.path(), &[&mirror]), &kernel).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`6.1.0-1-amd64`: no kernel image in `"),
        "{error}"
    );
}

/// The lock of this repository, which nothing else reads before a user does.
#[test]
fn the_lock_is_sound() {
    let lock: Lock = serde_json::from_str(include_str!("../../../../kernels/lock.json")).unwrap();
    assert_eq!(lock.schema, ukci_schema::lock::SCHEMA);
    let keys: Vec<(&str, Arch)> = lock
        .kernels
        .iter()
        .map(|k| (k.name.as_str(), k.arch))
        .collect();
    assert!(
        keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]),
        "{keys:?}"
    );
    for kernel in &lock.kernels {
        let mut name = format!("{}-{}-{}", kernel.distro, kernel.release, kernel.series);
        if !kernel.flavour.is_empty() {
            name = format!("{name}-{}", kernel.flavour);
        }
        assert_eq!(name, kernel.name);
        assert!(kernel.packages[0].roles.contains(&Role::Image), "{name}");
        // One package for each, but for what is still to be tried.
        for role in [Role::Image, Role::Modules, Role::Config] {
            let of_role = |package: &&ukci_schema::lock::Package| package.roles.contains(&role);
            assert_eq!(
                kernel.packages.iter().filter(of_role).count(),
                1,
                "{name} {role:?}"
            );
        }
        for package in &kernel.packages {
            assert!(
                package.name.ends_with(&kernel.uname),
                "{name}: {}",
                package.name
            );
            assert!(
                package.path.starts_with("pool/"),
                "{name}: {}",
                package.path
            );
            assert!(package.sha256.len() == 64 && package.size > 0, "{name}");
            assert!(
                package
                    .sha256
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            );
            assert!(
                mirror_knows(&package.archive),
                "{name}: {}",
                package.archive
            );
        }
        assert!(
            kernel
                .provenance
                .inrelease
                .contains_key(&kernel.provenance.suite),
            "{name}"
        );
    }
}

/// The pins of other distributions, and the old ones.
#[test]
fn the_other_files_of_the_lock_are_sound() {
    let mirrors = Mirrors::of_host();
    let mut all = 0;
    for (file, text) in crate::resolve::FAMILIES {
        let lock: Lock = serde_json::from_str(text).unwrap();
        let text_again = serde_json::to_string_pretty(&lock).unwrap();
        assert_eq!(
            *text,
            format!("{text_again}\n"),
            "{file} is not as it is written"
        );
        for kernel in lock.kernels.iter().chain(&lock.history) {
            let name = &kernel.name;
            assert_eq!(*file, format!("lock/{}.json", kernel.distro), "{name}");
            assert!(kernel.packages[0].roles.contains(&Role::Image), "{name}");
            for package in &kernel.packages {
                assert!(package.sha256.len() == 64, "{name}");
                let is_nowhere = package.archive == "none";
                assert!(
                    is_nowhere || mirrors.roots(&package.archive, "2026-11-21").is_ok(),
                    "{name}: {}",
                    package.archive
                );
                assert!(
                    !package.path.starts_with('/') && !package.path.contains(".."),
                    "{name}"
                );
            }
            all += 1;
        }
    }
    assert!(all > 80, "{all}");
}

fn mirror_knows(archive: &str) -> bool {
    Mirrors::only(&["http://mirror"]).roots(archive, "").is_ok()
}
