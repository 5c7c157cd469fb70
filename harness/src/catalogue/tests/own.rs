//! The user's own kernel.

use super::*;
use crate::catalogue::store::{Contents, IMAGE, SEGMENT};

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
    let catalogue = catalogue(cache.path(), &[]);
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
    let catalogue = catalogue(cache.path(), &[]);
    let own = catalogue.own_kernel(&image, &[], Arch::X86_64).unwrap();
    assert_eq!(own.kernel.release, "7.3.0-mine");
    let warnings = own
        .warnings
        .join("\n")
        .replace(&cache.path().display().to_string(), "DIR");
    insta::assert_snapshot!(warnings, @r"
    no `config-7.3.0-mine` beside `DIR/vmlinux`: programs with `__kconfig` externs will not load
    `vmlinux`: no driver for vsock or virtio-serial is known to be built in, and no module of one was given (`--modules DIR` gives them), so its cells talk over a serial line, which is slower
    ");
    assert_eq!(own.kernel.no_driver_for, ["serial", "vsock"]);
    fs::write(
        cache.path().join("config-7.3.0-mine"),
        "CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_CONSOLE=m\nCONFIG_VIRTIO_VSOCKETS=y\n",
    )
    .unwrap();
    let own = catalogue.own_kernel(&image, &[], Arch::X86_64).unwrap();
    assert_eq!(own.warnings.len(), 0, "{:?}", own.warnings);
    assert_eq!(own.kernel.no_driver_for, ["serial"]);
}

#[test]
fn ones_own_kernel_may_be_in_packages() {
    let cache = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, files: &[(&str, &[u8])]| {
        let path = dir.path().join(name);
        fs::write(&path, super::super::package::tests::deb(files, ".xz")).unwrap();
        path
    };
    let config = b"CONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_CONSOLE=y\n";
    let image = write(
        "image_amd64.deb",
        &[
            (&format!("boot/vmlinuz-{RELEASE}"), &vmlinuz(RELEASE)),
            (&format!("boot/config-{RELEASE}"), config),
        ],
    );
    let builtin = format!("lib/modules/{RELEASE}/modules.builtin");
    let modules = write("modules_amd64.deb", &[(&builtin, b"")]);
    let catalogue = catalogue(cache.path(), &[]);
    assert_eq!(catalogue.arch_of(&image, &[]).unwrap(), Arch::X86_64);
    let own = catalogue
        .own_kernel(&image, &[modules], Arch::X86_64)
        .unwrap();
    assert_eq!(own.kernel.release, RELEASE);
    assert!(!own.kernel.hermetic);
    let packages: Vec<&String> = own.kernel.packages.keys().collect();
    assert_eq!(packages, ["image_amd64.deb", "modules_amd64.deb"]);
    // The directory has the same packages, and they are not unpacked again.
    let again = catalogue.own_kernel(dir.path(), &[], Arch::X86_64).unwrap();
    assert_eq!(again.kernel.image, own.kernel.image);
}

#[test]
fn packages_that_were_unpacked_tell_their_architecture_by_their_digests() {
    let cache = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let catalogue = catalogue(cache.path(), &[]);
    // Nothing could be learned from these bytes.
    let package = dir.path().join("image_arm64.deb");
    fs::write(&package, "no package").unwrap();
    catalogue.arch_of(&package, &[]).unwrap_err();
    let digests = super::super::own_packages::packages(std::slice::from_ref(&package)).unwrap();
    let contents = Contents {
        release: RELEASE.into(),
        arch: Arch::Aarch64,
        files: [IMAGE, SEGMENT].map(|name| (name, Vec::new())).into(),
        transports: BTreeMap::new(),
        packages: BTreeMap::new(),
    };
    catalogue
        .store
        .put(&digests.key(Arch::Aarch64), contents)
        .unwrap();
    assert_eq!(catalogue.arch_of(&package, &[]).unwrap(), Arch::Aarch64);
    fs::write(&package, "another one").unwrap();
    catalogue.arch_of(&package, &[]).unwrap_err();
}

#[test]
fn modules_of_another_kernel_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let (tree, image) = installed();
    let catalogue = catalogue(cache.path(), &[]);
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
    insta::assert_snapshot!(error, @"failed to read `/dev/null`");
}
