//! Streams through the front door, against a mirror on this host.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgp::composed::{ArmorOptions, DetachedSignature, SignedSecretKey, SubpacketConfig};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Subpacket, SubpacketData};
use pgp::types::{KeyDetails, Password, Timestamp};
use rand::rngs::OsRng;
use ukci_harness::catalogue::digest;
use ukci_harness::catalogue::mirror::Mirrors;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Verified};

use crate::keyring::{Keyrings, tests as signing};
use crate::tests::mirror::{Mirror, Reply};
use crate::{Archives, Error, Streams};

/// What a test changes of a sound repository.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault of its own, and a test sets one"
)]
struct Repository {
    /// Releases of `kernel-core` and `kernel-modules`.
    releases: Vec<&'static str>,
    /// Days before now of the metadata.
    age: i64,
    /// Whether the list is another one than that of `repomd.xml`.
    other_list: bool,
    /// Whether `repomd.xml` is changed behind its signature.
    tampered: bool,
    /// Whether the signature was valid for one second a day ago.
    expired: bool,
    /// Bytes of spaces behind `repomd.xml`.
    padding: usize,
    keeps_all: bool,
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            releases: vec!["362.el9", "427.el9"],
            age: 1,
            other_list: false,
            tampered: false,
            expired: false,
            padding: 0,
            keeps_all: false,
        }
    }
}

fn armored(key: &SignedSecretKey) -> String {
    key.to_public_key()
        .to_armored_string(ArmorOptions::default())
        .unwrap()
}

fn fingerprint(key: &SignedSecretKey) -> String {
    let public = key.to_public_key();
    data_encoding::HEXUPPER.encode(public.primary_key.fingerprint().as_bytes())
}

impl Repository {
    /// The files below a mirror's root.
    fn files(&self, key: &SignedSecretKey) -> Vec<(String, Reply)> {
        let mut files = Vec::new();
        let mut list = "<?xml version=\"1.0\"?>\n<metadata xmlns:rpm=\"x\">".to_owned();
        for release in &self.releases {
            for name in ["kernel-core", "kernel-modules", "kernel-doc"] {
                let file = format!("Packages/{name}-5.14.0-{release}.x86_64.rpm");
                list.push_str(&format!(
                    "<package type=\"rpm\"><name>{name}</name><arch>x86_64</arch>\
                     <version epoch=\"0\" ver=\"5.14.0\" rel=\"{release}\"/>\
                     <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\
                     <size package=\"7\" installed=\"9\"/><location href=\"{file}\"/>\
                     <format><rpm:provides><rpm:entry name=\"kernel\"/></rpm:provides>\
                     <file>/lib/modules</file></format></package>",
                    digest::of(file.as_bytes())
                ));
                files.push((format!("9/os/{file}"), Reply::File(b"package".to_vec())));
            }
        }
        list.push_str("</metadata>");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let moment = now.checked_add_signed(-self.age * 24 * 60 * 60).unwrap();
        let mut repomd = format!(
            "<?xml version=\"1.0\"?><repomd><revision>{moment}</revision>\
             <data type=\"filelists\"><location href=\"repodata/other.xml\"/></data>\
             <data type=\"primary\"><checksum type=\"sha256\">{}</checksum>\
             <location href=\"repodata/primary.xml\"/><timestamp>{moment}</timestamp></data></repomd>",
            digest::of(list.as_bytes())
        );
        let signature = self.signature(key, repomd.as_bytes());
        if self.tampered {
            repomd = repomd.replace("<repomd>", "<repomd >");
        }
        repomd.push_str(&" ".repeat(self.padding));
        if self.other_list {
            list.push(' ');
        }
        let data = "9/os/repodata";
        files.extend([
            (
                format!("{data}/repomd.xml"),
                Reply::File(repomd.into_bytes()),
            ),
            (format!("{data}/repomd.xml.asc"), Reply::File(signature)),
            (
                format!("{data}/primary.xml"),
                Reply::File(list.into_bytes()),
            ),
        ]);
        files
    }

    fn signature(&self, key: &SignedSecretKey, text: &[u8]) -> Vec<u8> {
        let by = &key.secret_subkeys[0].key;
        let (password, hash) = (Password::empty(), HashAlgorithm::Sha256);
        let subpackets = if self.expired {
            // Made when the key was, and over within the second.
            let of = |data| Subpacket::regular(data).unwrap();
            SubpacketConfig::UserDefined {
                hashed: vec![
                    of(SubpacketData::SignatureCreationTime(Timestamp::now())),
                    of(SubpacketData::SignatureExpirationTime(
                        pgp::types::Duration::from_secs(1),
                    )),
                    of(SubpacketData::IssuerFingerprint(by.fingerprint())),
                ],
                unhashed: Vec::new(),
            }
        } else {
            SubpacketConfig::Default
        };
        let signature = DetachedSignature::sign_binary_data_with_subpackets(
            OsRng, by, &password, hash, text, subpackets,
        );
        let signature = signature.unwrap();
        signature.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// What `ukci kernels update` would pin of it, if `trusted` is the stream's key.
    fn pin(
        &self,
        signer: &SignedSecretKey,
        trusted: &SignedSecretKey,
        known: &[&LockedKernel],
        without: &str,
    ) -> Result<LockedKernel, Error> {
        let dir = tempfile::tempdir().unwrap();
        for (number, key) in [signer, trusted].into_iter().enumerate() {
            std::fs::write(dir.path().join(format!("{number}.asc")), armored(key)).unwrap();
        }
        let mut files = self.files(signer);
        files.retain(|(path, _)| without.is_empty() || !path.contains(without));
        let mirror = Mirror::new(files);
        let streams = format!(
            "[keys]\nk = [\"{}\"]\n[layouts.rhel]\nformat = \"rpm-md\"\n\
             uname = \"{{version}}-{{release}}.{{arch}}\"\npackages = [\
             {{ name = \"kernel-core\", roles = [\"image\", \"config\"] }},\
             {{ name = \"kernel-modules-core\", roles = [\"modules\"], optional = true }},\
             {{ name = \"kernel-modules\", roles = [\"modules\"] }}]\n[[stream]]\n\
             distro = \"almalinux\"\nrelease = \"9\"\narches = [\"x86_64\"]\narchive = \"test\"\n\
             indices = [\"9/os\"]\nlayout = \"rhel\"\nsigned = \"index\"\nkeys = \"k\"\n\
             mark = \".el9\"\nkeeps_all = {}\n",
            fingerprint(trusted),
            self.keeps_all
        );
        let streams = Streams::parse(&streams).unwrap();
        let archives = Archives {
            mirrors: Mirrors::only(&[]).and("test", &[&mirror.root]),
            keyrings: Keyrings::below(dir.path()),
        };
        let stream = &streams.all()[0];
        archives.pin_stream(&streams, stream, Arch::X86_64, known)
    }
}

#[test]
fn the_newest_kernel_of_a_signed_repository_is_pinned() {
    let key = signing::key();
    let kernel = Repository::default().pin(&key, &key, &[], "").unwrap();
    assert_eq!(kernel.name, "almalinux-9-5.14");
    assert_eq!(kernel.uname, "5.14.0-427.el9.x86_64");
    assert_eq!(kernel.verified, Verified::Metadata);
    assert_eq!(kernel.provenance.source, "index-signed");
    let packages: Vec<(&str, &str, u64)> = (kernel.packages.iter())
        .map(|package| (package.name.as_str(), package.path.as_str(), package.size))
        .collect();
    assert_eq!(
        packages,
        [
            (
                "kernel-core",
                "9/os/Packages/kernel-core-5.14.0-427.el9.x86_64.rpm",
                7
            ),
            (
                "kernel-modules",
                "9/os/Packages/kernel-modules-5.14.0-427.el9.x86_64.rpm",
                7
            ),
        ]
    );
    // What has left the archive is passed over.
    let older = Repository::default()
        .pin(&key, &key, &[], "modules-5.14.0-427")
        .unwrap();
    assert_eq!(older.uname, "5.14.0-362.el9.x86_64");
}

#[test]
fn what_the_vendor_did_not_sign_is_refused() {
    let (key, stranger) = (signing::key(), signing::key());
    let refused = |repository: Repository, signer| {
        let error = repository.pin(signer, &key, &[], "").unwrap_err();
        assert!(matches!(error, Error::Untrusted { .. }), "{error}");
        assert!(error.hint().unwrap().contains(&fingerprint(&key)));
        error.to_string()
    };
    let text = refused(Repository::default(), &stranger);
    assert!(
        text.contains("no valid signature by a key of this stream's"),
        "{text}"
    );
    let tampered = Repository {
        tampered: true,
        ..Repository::default()
    };
    assert!(refused(tampered, &key).contains("no valid signature"));
    let other_list = Repository {
        other_list: true,
        ..Repository::default()
    };
    let text = refused(other_list, &key);
    assert!(
        text.ends_with("is not the file that `repomd.xml` names"),
        "{text}"
    );
}

#[test]
fn an_expired_signature_is_refused() {
    let key = signing::key();
    let expired = Repository {
        expired: true,
        ..Repository::default()
    };
    let files = expired.files(&key);
    let find = |name: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(name)).unwrap();
        match &found.1 {
            Reply::File(bytes) => bytes.clone(),
            _ => unreachable!(),
        }
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key.asc"), armored(&key)).unwrap();
    let keyrings = Keyrings::below(dir.path()).with_fingerprints(&[fingerprint(&key)]);
    let check = || keyrings.verify(&find("repomd.xml.asc"), &find("repomd.xml"));
    // The signature lasts a second; the clock is what the test waits for.
    let deadline = SystemTime::now() + Duration::from_secs(10);
    while check().is_ok() {
        assert!(SystemTime::now() < deadline, "it does not expire");
        std::thread::yield_now();
    }
    assert!(check().unwrap_err().starts_with("no valid signature"));
}

#[test]
fn older_shorter_and_endless_metadata_is_refused() {
    let key = signing::key();
    let known = Repository::default().pin(&key, &key, &[], "").unwrap();
    let refused = |repository: Repository| repository.pin(&key, &key, &[&known], "").unwrap_err();

    let rolled_back = Repository {
        age: 30,
        ..Repository::default()
    };
    let error = refused(rolled_back);
    assert!(matches!(error, Error::RolledBack { .. }), "{error}");

    let future = Repository {
        age: -9,
        ..Repository::default()
    };
    let error = refused(future);
    assert!(matches!(error, Error::Future { .. }), "{error}");

    // The pinned kernel is gone, and no newer one is there.
    let shrunken = Repository {
        releases: vec!["362.el9"],
        ..Repository::default()
    };
    let error = refused(shrunken);
    assert!(matches!(error, Error::Shrunken { .. }), "{error}");
    assert!(
        error.to_string().ends_with("5.14.0-427.el9.x86_64"),
        "{error}"
    );

    // A vendor may drop old kernels, unless it says that it does not.
    let newer = |keeps_all| Repository {
        releases: vec!["503.el9"],
        age: 0,
        keeps_all,
        ..Repository::default()
    };
    let pinned = newer(false).pin(&key, &key, &[&known], "").unwrap();
    assert_eq!(pinned.uname, "5.14.0-503.el9.x86_64");
    let error = refused(newer(true));
    assert!(matches!(error, Error::Shrunken { .. }), "{error}");

    let endless = Repository {
        padding: 2 << 20,
        ..Repository::default()
    };
    let error = refused(endless);
    assert!(
        error.to_string().contains("it has more than 1048576 bytes"),
        "{error}"
    );
}

#[test]
fn another_releases_packages_are_left_out() {
    let key = signing::key();
    let other = Repository {
        releases: vec!["362.el8"],
        ..Repository::default()
    };
    let error = other.pin(&key, &key, &[], "").unwrap_err();
    assert!(matches!(error, Error::NoKernel { .. }), "{error}");
}
