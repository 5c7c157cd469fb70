//! Streams of a lock with a few kernels of two distributions.

use ukci_schema::lock::{Package, Provenance, Role, SCHEMA, Verified};

use super::*;

const WHOLE: &[Role] = &[Role::Image, Role::Modules, Role::Config];

fn pin(name: &str, version: &str, roles: &[Role]) -> LockedKernel {
    let parts: Vec<&str> = name.splitn(4, '-').collect();
    LockedKernel {
        name: name.to_owned(),
        distro: parts[0].to_owned(),
        release: parts[1].to_owned(),
        series: parts[2].to_owned(),
        flavour: parts.get(3).copied().unwrap_or_default().to_owned(),
        arch: Arch::X86_64,
        uname: format!("{version}-uname"),
        packages: vec![Package {
            roles: roles.to_vec(),
            name: "linux".into(),
            version: version.to_owned(),
            archive: "debian".into(),
            path: String::new(),
            size: 0,
            sha256: crate::catalogue::digest::of(format!("{name} {version} {roles:?}").as_bytes()),
        }],
        provenance: Provenance {
            source: "index-signed".into(),
            suite: String::new(),
            date: "2026-11-28".into(),
            inrelease: std::collections::BTreeMap::new(),
        },
        verified: Verified::Metadata,
        verified_on: None,
    }
}

fn lock() -> Lock {
    Lock {
        schema: SCHEMA.into(),
        kernels: vec![
            pin("debian-12-6.1-cloud", "6.1.192-2", WHOLE),
            pin("debian-12-6.12-cloud", "6.12.117-1~deb12u1", WHOLE),
            pin("debian-13-6.12-cloud", "6.12.117-1", WHOLE),
            pin("debian-13-6.12", "6.12.117-1", WHOLE),
            pin("ubuntu-24.04-6.8-aws-64k", "6.8.0-2", WHOLE),
        ],
        tools: Vec::new(),
        history: vec![
            pin("debian-12-6.1-cloud", "6.1.192-1", WHOLE),
            pin("debian-12-6.1-cloud", "6.1.9-1", WHOLE),
            pin("debian-12-6.12-cloud", "6.12.95-1~bpo12+1", WHOLE),
            pin("debian-13-6.12-cloud", "6.12.96-1", &[Role::Image]),
            pin("debian-13-6.12-cloud", "6.12.117-1", &[Role::Image]),
            pin("debian-13-7.1-cloud", "7.1.3-1~bpo13+1", &[Role::Image]),
        ],
    }
}

fn versions(name: &str, images_only: bool) -> Result<String, Error> {
    let lock = lock();
    let found = Versions::of(name, Arch::X86_64, images_only, &lock)?;
    let found: Vec<&str> = found.pins.iter().map(|pin| pin.version()).collect();
    Ok(found.join(" "))
}

#[test]
fn a_stream_is_as_wide_as_its_name_and_sorted_by_version() {
    for (name, images_only, expected) in [
        ("debian-12-6.1-cloud", false, "6.1.9-1 6.1.192-1 6.1.192-2"),
        ("debian-13-6.12-cloud", false, "6.12.117-1"),
        ("debian-13-6.12-cloud", true, "6.12.96-1 6.12.117-1"),
        (
            "debian-6.12-cloud",
            false,
            "6.12.95-1~bpo12+1 6.12.117-1~deb12u1 6.12.117-1",
        ),
        (
            "debian-cloud",
            true,
            "6.1.9-1 6.1.192-1 6.1.192-2 6.12.95-1~bpo12+1 6.12.96-1 6.12.117-1~deb12u1 6.12.117-1 \
             7.1.3-1~bpo13+1",
        ),
        ("debian", false, "6.12.117-1"),
        ("ubuntu-24.04-aws-64k", false, "6.8.0-2"),
    ] {
        assert_eq!(
            versions(name, images_only).as_deref(),
            Ok(expected),
            "{name}"
        );
    }
    for wrong in [
        "",
        "fedora",
        "debian-14",
        "debian-12-6.1-clout",
        "debian-cloud-12",
        "6.1",
    ] {
        let error = versions(wrong, true).unwrap_err();
        assert!(matches!(error, Error::UnknownStream { .. }), "{wrong}");
        assert!(error.hint().is_some());
    }
    // The whole pin of 6.12.117 is the one to use, and only 6.12.96 is left out.
    let lock = lock();
    let found = Versions::of("debian-13-6.12-cloud", Arch::X86_64, false, &lock).unwrap();
    assert_eq!((found.pins.len(), found.images_only), (1, 1));
}

#[test]
fn a_version_can_be_shortened_as_long_as_one_fits() {
    let lock = lock();
    let found = Versions::of("debian-cloud", Arch::X86_64, false, &lock).unwrap();
    for (version, place) in [
        ("6.1.9", 0),
        ("6.1.192-2", 2),
        ("6.12.95", 3),
        ("6.1.192-1-uname", 1),
        ("debian-13-6.12-cloud@6.12.117-1", 5),
    ] {
        assert_eq!(found.place(version), Ok(place), "{version}");
    }
    assert!(matches!(
        found.place("6.1.192"),
        Err(Error::AmbiguousVersion { .. })
    ));
    let error = found.place("6.1.19").unwrap_err();
    assert!(error.to_string().contains("`6.1.192-1`"), "{error}");
}

#[test]
fn a_window_has_both_of_its_ends() {
    let lock = lock();
    let all = Versions::of("debian-cloud", Arch::X86_64, false, &lock).unwrap();
    let mut window = all.clone();
    window.between("6.12.95", "6.1.192-1").unwrap();
    let left: Vec<&str> = window.pins.iter().map(|pin| pin.version()).collect();
    assert_eq!(left, ["6.1.192-1", "6.1.192-2", "6.12.95-1~bpo12+1"]);
    window.keep_last(2);
    assert_eq!(window.pins.len(), 2);
    window.keep_last(9);
    assert_eq!(window.pins.len(), 2);
}
