//! The catalogue through its front door, against a mirror on this host and a kernel of a few bytes.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::testing::{Mirror, Reply, kernel_package, locked, module, vmlinux, vmlinuz};
use super::*;
use crate::catalogue::keyring::tests as signing;

const RELEASE: &str = "6.1.0-1-amd64";

fn catalogue(cache: &Path, mirrors: &[&Mirror], is_locked: bool) -> Catalogue {
    let roots: Vec<&str> = mirrors.iter().map(|mirror| mirror.root.as_str()).collect();
    let lock = Lock {
        schema: ukci_schema::lock::SCHEMA.into(),
        kernels: Vec::new(),
    };
    Catalogue {
        lock,
        locked: is_locked,
        store: Store::new(cache),
        mirrors: Mirrors::only(&roots),
        keyrings: Keyrings::default(),
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
    let entries = crate::initramfs::tests::parse(&fs::read(archive).unwrap());
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
    let catalogue = catalogue(cache.path(), &[&mirror], true);
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
    assert!(said.contains(&Progress::Fetched {
        package: kernel.packages[0].name.clone()
    }));

    assert!(catalogue.is_prepared(&kernel));
    prepare(&catalogue, &kernel).unwrap();
    assert_eq!(mirror.requests(), [kernel.packages[0].path.as_str()]);
}

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let (cache, package, kernel) = setup();
    let path = &kernel.packages[0].path;
    let mirror = Mirror::new([pool(&kernel, Reply::BreaksOff(package, 700))]);
    let prepared = prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap();
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
    prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap();
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
    prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap();
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
    let catalogue = catalogue(cache.path(), &[&short, &good], true);
    let prepared = prepare(&catalogue, &kernel).unwrap();
    assert_eq!(kept(cache.path()), ["corrupt-1", "deb"]);
    let warning = prepared.warnings.join("\n");
    assert!(
        warning.contains("came damaged (900 bytes instead of "),
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
    let error = prepare(&catalogue(cache.path(), &[&mirror], false), &kernel).unwrap_err();
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
    let prepared = prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap();
    assert_eq!(kept(cache.path()), ["corrupt-1", "deb"]);
    assert!(
        prepared.warnings[0].contains("in the cache was damaged"),
        "{:?}",
        prepared.warnings
    );
}

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
    insta::assert_snapshot!(text, @"`linux-image-6.1.0-1-amd64` 6.1.100-1 is gone from every mirror: http://mirror/pool/linux-image-6.1.0-1-amd64.deb: not found");
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

#[test]
fn mirrors_that_do_not_answer_are_all_named() {
    let (cache, _, kernel) = setup();
    let broken = Mirror::new([pool(&kernel, Reply::Status(503))]);
    let mut catalogue = catalogue(cache.path(), &[&broken], false);
    catalogue.mirrors = Mirrors::only(&["http://127.0.0.1:1", &broken.root]);
    let error = prepare(&catalogue, &kernel).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. }), "{error}");
    let text = error.to_string();
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
    let error = prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap_err();
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
    let catalogue = catalogue(cache.path(), &[&mirror], true);
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
            scope.spawn(|| prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap());
        }
    });
    assert_eq!(mirror.requests().len(), 1);
}

#[test]
fn an_entry_that_is_not_whole_is_made_anew() {
    let (cache, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(cache.path(), &[&mirror], true);
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
    let error = prepare(&catalogue(cache.path(), &[&mirror], true), &kernel).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`6.1.0-1-amd64`: no kernel image in `"),
        "{error}"
    );
}

/// An installed tree: an image and `lib/modules/<release>`.
fn installed() -> (tempfile::TempDir, PathBuf) {
    let tree = tempfile::tempdir().unwrap();
    let modules = tree.path().join("lib/modules").join(RELEASE);
    fs::create_dir_all(modules.join("kernel")).unwrap();
    fs::write(
        modules.join("modules.builtin"),
        "kernel/virtio_pci.ko\nkernel/virtio_console.ko\n",
    )
    .unwrap();
    fs::write(
        modules.join("kernel/vmw_vsock_virtio_transport.ko"),
        module("vsock", RELEASE),
    )
    .unwrap();
    fs::write(modules.join("kernel/vsock.ko"), module("", RELEASE)).unwrap();
    fs::write(
        tree.path().join(format!("config-{RELEASE}")),
        "CONFIG_BPF=y\n",
    )
    .unwrap();
    let image = tree.path().join("bzImage");
    fs::write(&image, vmlinuz(RELEASE)).unwrap();
    (tree, image)
}

#[test]
fn ones_own_kernel_is_taken_with_its_modules() {
    let cache = tempfile::tempdir().unwrap();
    let (tree, image) = installed();
    let catalogue = catalogue(cache.path(), &[], true);
    let dirs = [
        tree.path().to_owned(),
        tree.path().join("lib/modules"),
        tree.path().join("lib/modules").join(RELEASE),
    ];
    let mut digests = Vec::new();
    for dir in dirs {
        let own = catalogue.own_kernel(&image, &[dir], Arch::X86_64).unwrap();
        assert_eq!(own.warnings, Vec::<String>::new());
        assert_eq!(
            (own.kernel.name.as_str(), own.kernel.release.as_str()),
            ("bzImage", RELEASE)
        );
        assert!(!own.kernel.hermetic && own.kernel.packages.is_empty());
        assert_eq!(
            fs::read(&own.kernel.image.path).unwrap(),
            vmlinux(RELEASE, true)
        );
        assert_eq!(
            names(&own.kernel.segment.path),
            [
                "boot",
                "boot/config-6.1.0-1-amd64",
                "lib",
                "lib/ukci",
                "lib/ukci/serial",
                "lib/ukci/vsock",
                "lib/ukci/vsock/00-vsock.ko",
                "lib/ukci/vsock/01-vmw_vsock_virtio_transport.ko",
            ]
        );
        digests.push(own.kernel.segment.sha256);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn ones_own_kernel_without_modules_warns_of_what_it_may_lack() {
    let cache = tempfile::tempdir().unwrap();
    let image = cache.path().join("vmlinux");
    fs::write(&image, vmlinux("7.3.0-mine", true)).unwrap();
    let catalogue = catalogue(cache.path(), &[], true);
    let own = catalogue.own_kernel(&image, &[], Arch::X86_64).unwrap();
    assert_eq!(own.kernel.release, "7.3.0-mine");
    let warnings = own
        .warnings
        .join("\n")
        .replace(&cache.path().display().to_string(), "DIR");
    insta::assert_snapshot!(warnings, @r"
    no `config-7.3.0-mine` beside `DIR/vmlinux`: programs with `__kconfig` externs will not load
    `vmlinux`: no driver for serial is known to be built in, and no module of it was given
    `vmlinux`: no driver for vsock is known to be built in, and no module of it was given
    ");
    fs::write(
        cache.path().join("config-7.3.0-mine"),
        "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_CONSOLE=m\nCONFIG_VIRTIO_VSOCKETS=y\n",
    )
    .unwrap();
    let own = catalogue.own_kernel(&image, &[], Arch::X86_64).unwrap();
    assert_eq!(own.warnings.len(), 1, "{:?}", own.warnings);
    assert!(own.warnings[0].contains("no driver for serial"));
}

#[test]
fn modules_of_another_kernel_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let (tree, image) = installed();
    let catalogue = catalogue(cache.path(), &[], true);
    let modules = tree.path().join("lib/modules");
    fs::write(
        modules.join(RELEASE).join("kernel/vsock.ko"),
        module("", "6.1.0-9-amd64"),
    )
    .unwrap();
    let error = catalogue
        .own_kernel(&image, std::slice::from_ref(&modules), Arch::X86_64)
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("it was built for 6.1.0-9-amd64, the kernel is 6.1.0-1-amd64"),
        "{text}"
    );

    fs::rename(modules.join(RELEASE), modules.join("5.4.0")).unwrap();
    let error = catalogue
        .own_kernel(&image, &[tree.path().into()], Arch::X86_64)
        .unwrap_err();
    let text = error
        .to_string()
        .replace(&tree.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @"no modules for `6.1.0-1-amd64` below `DIR`; it has 5.4.0");
    insta::assert_snapshot!(error.hint().unwrap(), @"give the directory that holds `lib/modules/6.1.0-1-amd64`, or the kernel's build tree");

    let error = catalogue
        .own_kernel(&image, &["/nowhere".into()], Arch::X86_64)
        .unwrap_err();
    assert_eq!(error.to_string(), "failed to read `/nowhere`");
    let error = catalogue
        .own_kernel(Path::new("/dev/null"), &[], Arch::X86_64)
        .unwrap_err();
    insta::assert_snapshot!(error, @"failed to read `/dev/null` as a kernel image: it is neither a `bzImage` nor a `vmlinux`");
}

/// The lock of this repository, which nothing else reads before a user does.
#[test]
fn the_lock_is_sound() {
    let lock: Lock = serde_json::from_str(include_str!("../../../kernels/lock.json")).unwrap();
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

fn mirror_knows(archive: &str) -> bool {
    Mirrors::only(&["http://mirror"]).roots(archive, "").is_ok()
}
