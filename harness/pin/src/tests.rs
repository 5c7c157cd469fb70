//! Pinning through the front door, against a mirror on this host.

#[path = "../../src/catalogue/testing/mirror.rs"]
#[expect(dead_code, reason = "only the catalogue's tests need its faults")]
pub(crate) mod mirror;

use std::time::{Duration, SystemTime};

use mirror::{Mirror, Reply};
use ukci_harness::catalogue::digest;
use ukci_harness::catalogue::mirror::Mirrors;
use ukci_schema::cell::Arch;
use ukci_schema::lock::LockedKernel;

use crate::keyring::tests as signing;
use crate::{Archives, Error};

const PACKAGES: &str = "main/binary-amd64/Packages.xz";

/// `Sat, 21 Nov 2026 02:18:21 UTC`, so many days from now.
fn days_from_now(days: i64) -> String {
    let day = Duration::from_hours(24 * days.unsigned_abs());
    let now = SystemTime::now();
    let moment = if days < 0 { now - day } else { now + day };
    httpdate::fmt_http_date(moment).replace("GMT", "UTC")
}

/// What a test changes of a sound suite.
struct Suite<'a> {
    /// The dates of the `Release` file.
    dates: String,
    /// Under which name it is served.
    served_as: &'a str,
    /// Whether another list is served than the signed one.
    other_list: bool,
}

impl Default for Suite<'_> {
    fn default() -> Self {
        Self {
            dates: format!("Date: {}\n", days_from_now(-1)),
            served_as: "sid",
            other_list: false,
        }
    }
}

impl Suite<'_> {
    /// The files of a mirror with the kernel 7.2.13-1 of sid, signed by `key`.
    fn files(&self, key: &pgp::composed::SignedSecretKey) -> Vec<(String, Reply)> {
        let halves = ["linux-binary-", "linux-modules-", "linux-base-"];
        let list: Vec<String> = (halves.iter())
            .map(|half| {
                let name = format!("{half}7.2.13+deb14-amd64");
                let sha256 = digest::of(name.as_bytes());
                format!(
                    "Package: {name}\nVersion: 7.2.13-1\nFilename: pool/{name}.deb\nSize: 1\n\
                     SHA256: {sha256}\n\n"
                )
            })
            .collect();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        std::io::Write::write_all(&mut xz, list.concat().as_bytes()).unwrap();
        let xz = xz.finish().unwrap();
        let release = format!(
            "Suite: unstable\nCodename: sid\n{}SHA256:\n {} {} {PACKAGES}\n",
            self.dates,
            digest::of(&xz),
            xz.len()
        );
        let signed = signing::sign(&release, &key.secret_subkeys[0].key);
        let served = if self.other_list {
            b"something else".to_vec()
        } else {
            xz
        };
        let dists = format!("dists/{}", self.served_as);
        let mut files = vec![
            (format!("{dists}/InRelease"), Reply::File(signed)),
            (format!("{dists}/{PACKAGES}"), Reply::File(served)),
        ];
        for half in halves {
            let path = format!("pool/{half}7.2.13+deb14-amd64.deb");
            files.push((path, Reply::File(vec![0])));
        }
        files
    }
}

/// Pins `name` from a mirror with this suite, of which `key` is the trusted key.
fn pin(
    suite: &Suite<'_>,
    name: &str,
    signer: &pgp::composed::SignedSecretKey,
    trusted: &pgp::composed::SignedSecretKey,
    known: Option<&LockedKernel>,
) -> Result<LockedKernel, Error> {
    let dir = tempfile::tempdir().unwrap();
    let mirror = Mirror::new(suite.files(signer));
    let archives = Archives {
        mirrors: Mirrors::only(&[&mirror.root]),
        keyrings: signing::keyring(dir.path(), &[trusted]),
    };
    archives.pin_kernel(name, Arch::X86_64, None, known)
}

#[test]
fn the_newest_kernel_of_a_signed_index_is_pinned() {
    let key = signing::key();
    let suite = Suite::default();
    let kernel = pin(&suite, "debian-sid-7.2", &key, &key, None).unwrap();
    assert_eq!(kernel.uname, "7.2.13+deb14-amd64");
    assert_eq!(kernel.packages.len(), 3);
    // The same index again is no step back.
    let again = pin(&suite, "debian-sid-7.2", &key, &key, Some(&kernel)).unwrap();
    assert_eq!(again.packages, kernel.packages);
}

#[test]
fn a_strangers_index_another_suites_and_another_list_are_refused() {
    let (key, stranger) = (signing::key(), signing::key());
    let refused =
        |suite: &Suite<'_>, name: &str, signer| pin(suite, name, signer, &key, None).unwrap_err();
    let error = refused(&Suite::default(), "debian-sid-7.2", &stranger);
    let text = error.to_string();
    assert!(
        text.starts_with("the index of `sid` cannot be trusted: http://"),
        "{text}"
    );
    assert!(
        text.contains("no valid signature by a key of Debian's"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("debian-archive-keyring"));

    let elsewhere = Suite {
        served_as: "experimental",
        ..Suite::default()
    };
    let error = refused(&elsewhere, "debian-experimental-7.2", &key);
    let text = error.to_string();
    assert!(
        text.ends_with("it is the index of sid (unstable)"),
        "{text}"
    );

    let other_list = Suite {
        other_list: true,
        ..Suite::default()
    };
    let error = refused(&other_list, "debian-sid-7.2", &key);
    assert!(matches!(error, Error::Inconsistent { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.ends_with("Packages.xz` is not the file that was signed"),
        "{text}"
    );
}

#[test]
fn an_expired_a_future_and_an_undated_index_are_refused_whoever_signed_them() {
    let key = signing::key();
    let refused = |dates: String| {
        let suite = Suite {
            dates,
            ..Suite::default()
        };
        pin(&suite, "debian-sid-7.2", &key, &key, None).unwrap_err()
    };
    let (before, yesterday, tomorrow) = (days_from_now(-9), days_from_now(-1), days_from_now(1));
    let error = refused(format!("Date: {before}\nValid-Until: {yesterday}\n"));
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("it was valid until "), "{text}");
    assert!(error.hint().unwrap().contains("another mirror"));

    let error = refused(format!("Date: {tomorrow}\n"));
    assert!(matches!(error, Error::Future { .. }), "{error}");
    assert!(error.hint().unwrap().contains("clock"));

    for dates in [String::new(), "Date: soon\n".to_owned()] {
        let error = refused(dates);
        assert!(matches!(error, Error::Index { .. }), "{error}");
    }
    let valid = Suite {
        dates: format!("Date: {yesterday}\nValid-Until: {tomorrow}\n"),
        ..Suite::default()
    };
    assert!(pin(&valid, "debian-sid-7.2", &key, &key, None).is_ok());
}

#[test]
fn an_index_older_than_the_locks_own_is_refused() {
    let key = signing::key();
    let known = pin(&Suite::default(), "debian-sid-7.2", &key, &key, None).unwrap();
    let older = Suite {
        dates: format!("Date: {}\n", days_from_now(-30)),
        ..Suite::default()
    };
    let error = pin(&older, "debian-sid-7.2", &key, &key, Some(&known)).unwrap_err();
    assert!(matches!(error, Error::RolledBack { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&known.provenance.date), "{text}");
}
