//! Alpine's repositories: `APKINDEX.tar.gz`, whose signature is a compressed file in front of it.
//!
//! The index has the SHA-1 of each package's control segment, the control segment has the SHA-256
//! of the data segment, and so a package must be read to be pinned.

use std::io::Read;

use data_encoding::BASE64;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};

use ukci_harness::catalogue::digest;

use crate::digests;
use crate::keyring::RsaKey;
use crate::listing::{self, Digest, Entry, Listing};

/// Largest index as it is compressed; that of Alpine's `main` has 0.5 MB.
pub(crate) const MAX_INDEX: u64 = 64 << 20;
/// Largest signature, control segment and list of files within.
const MAX_SEGMENT: u64 = 16 << 20;

/// The packages of these names in the index, which one of the keys signed.
pub(crate) fn list(
    index: &[u8],
    base: &str,
    names: &[&str],
    keys: &[RsaKey],
) -> Result<Listing, String> {
    let (signature, signed) = split(index)?;
    verify(&signature, signed, keys)?;
    listed(index, signed, base, names)
}

/// The packages of these names in an index that was verified.
fn listed(index: &[u8], signed: &[u8], base: &str, names: &[&str]) -> Result<Listing, String> {
    let unpacked = listing::unpacked("APKINDEX.tar.gz", signed)?;
    let text = file(unpacked, "APKINDEX")?.ok_or("it holds no `APKINDEX`")?;
    let text = String::from_utf8_lossy(&text);
    let mut newest = 0;
    let mut packages = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |name: char| {
            paragraph
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        let Some(name) = field('P') else { continue };
        let built = field('t').and_then(|time| time.parse().ok()).unwrap_or(0);
        newest = newest.max(built);
        if !names.contains(&name) {
            continue;
        }
        let version = field('V').ok_or_else(|| format!("`{name}` is listed without a version"))?;
        let control = field('C').and_then(|text| text.strip_prefix("Q1"));
        let control = control.and_then(|text| BASE64.decode(text.as_bytes()).ok());
        let control = control
            .filter(|control| control.len() == 20)
            .ok_or_else(|| format!("`{name}` is listed without a digest"))?;
        let path = listing::resolve(base, &format!("{name}-{version}.apk"))
            .ok_or_else(|| format!("`{name}` is listed with the version `{version}`"))?;
        let (version, release) = version.split_once("-r").unwrap_or((version, ""));
        packages.push(Entry {
            name: name.to_owned(),
            version: version.to_owned(),
            release: release.to_owned(),
            path,
            size: field('S').and_then(|size| size.parse().ok()).unwrap_or(0),
            digest: Digest::ApkControl(control),
        });
    }
    Ok(Listing {
        packages,
        date: listing::day(newest),
        root: digest::of(index),
    })
}

/// The same for an index that nobody signed.
#[cfg(feature = "fuzzing")]
pub(crate) fn list_unsigned(index: &[u8], base: &str, names: &[&str]) -> Result<Listing, String> {
    let (_, signed) = split(index)?;
    listed(index, signed, base, names)
}

/// Checks that a package is the one whose control segment the index names.
pub(crate) fn check(package: &[u8], control_sha1: &[u8]) -> Result<(), String> {
    let (_, rest) = split(package)?;
    let (_, data) = member(rest)?;
    let control = &rest[..rest.len() - data.len()];
    if digests::sha1(control) != control_sha1 {
        return Err("its control segment is not the one that the index names".to_owned());
    }
    let info = file(flate2::read::GzDecoder::new(control), ".PKGINFO")?;
    let info = info.ok_or("it holds no `.PKGINFO`")?;
    let info = String::from_utf8_lossy(&info);
    let named = info
        .lines()
        .find_map(|line| line.strip_prefix("datahash = "));
    if named != Some(&digest::of(data)) {
        return Err("its data is not what its control segment names".to_owned());
    }
    Ok(())
}

/// A signature: its file's name, and its bytes.
struct Signature {
    name: String,
    bytes: Vec<u8>,
}

/// The signature in the first compressed member, and all that follows it.
fn split(file: &[u8]) -> Result<(Signature, &[u8]), String> {
    let (segment, rest) = member(file)?;
    let mut tar = tar::Archive::new(segment.as_slice());
    let damaged = |error: std::io::Error| format!("its signature is damaged: {error}");
    let mut entries = tar.entries().map_err(damaged)?;
    let mut entry = entries
        .next()
        .ok_or("it has no signature")?
        .map_err(damaged)?;
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(damaged)?;
    if name.starts_with(".SIGN.") {
        Ok((Signature { name, bytes }, rest))
    } else {
        Err("it has no signature".to_owned())
    }
}

/// The data of the first compressed member, and all that follows it.
fn member(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut data = Vec::new();
    (&mut decoder)
        .take(MAX_SEGMENT + 1)
        .read_to_end(&mut data)
        .map_err(|error| format!("it is damaged: {error}"))?;
    if data.len() as u64 > MAX_SEGMENT {
        return Err("its first segment is larger than 16 MiB".to_owned());
    }
    Ok((data, decoder.into_inner()))
}

/// A file of an archive whose end may be missing.
fn file(archive: impl Read, name: &str) -> Result<Option<Vec<u8>>, String> {
    let damaged = |error: std::io::Error| format!("it is damaged: {error}");
    let mut tar = tar::Archive::new(archive);
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if &*entry.path_bytes() == name.as_bytes() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(damaged)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn verify(signature: &Signature, data: &[u8], keys: &[RsaKey]) -> Result<(), String> {
    use rsa::sha2::{Digest as _, Sha256};
    use sha1::Sha1;
    let (scheme, hashed, signer) = if let Some(signer) = signature.name.strip_prefix(".SIGN.RSA.") {
        (Pkcs1v15Sign::new::<Sha1>(), digests::sha1(data), signer)
    } else if let Some(signer) = signature.name.strip_prefix(".SIGN.RSA256.") {
        let hashed = Sha256::digest(data).to_vec();
        (Pkcs1v15Sign::new::<Sha256>(), hashed, signer)
    } else {
        return Err(format!(
            "its signature is of an unknown kind: `{}`",
            signature.name
        ));
    };
    let is_by = |key: &RsaKey| {
        RsaPublicKey::from_public_key_der(&key.der).is_ok_and(|key| {
            key.verify(scheme.clone(), &hashed, &signature.bytes)
                .is_ok()
        })
    };
    if keys.iter().any(is_by) {
        return Ok(());
    }
    Err(format!(
        "no valid signature by a key of this stream; signed by `{signer}`"
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use rand::rngs::OsRng;
    use rsa::pkcs8::EncodePublicKey;
    use rsa::{Pkcs1v15Sign, RsaPrivateKey};

    use super::*;

    /// A key to sign with, and its public half. Small, so that a debug build makes it quickly.
    pub(crate) fn key() -> (RsaPrivateKey, RsaKey) {
        let private = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        let der = private.to_public_key().to_public_key_der().unwrap();
        let key = RsaKey {
            der: der.as_bytes().to_vec(),
        };
        (private, key)
    }

    fn segment(name: &str, bytes: &[u8], is_last: bool) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
        let tar = if is_last {
            tar.into_inner().unwrap()
        } else {
            tar.get_ref().clone()
        };
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap()
    }

    /// `signed` with the key's signature before it, as `abuild-sign` makes it.
    pub(crate) fn sign(signed: &[u8], by: &RsaPrivateKey) -> Vec<u8> {
        let scheme = Pkcs1v15Sign::new::<sha1::Sha1>();
        let signature = by.sign(scheme, &digests::sha1(signed)).unwrap();
        let mut whole = segment(".SIGN.RSA.test.rsa.pub", &signature, false);
        whole.extend(signed);
        whole
    }

    /// A package with this data.
    pub(crate) fn package(data: &[u8], by: &RsaPrivateKey) -> (Vec<u8>, String) {
        let data = segment("boot/vmlinuz-lts", data, true);
        let info = format!("pkgname = linux-lts\ndatahash = {}\n", digest::of(&data));
        let control = segment(".PKGINFO", info.as_bytes(), false);
        let sha1 = BASE64.encode(&digests::sha1(&control));
        let rest = [control, data].concat();
        (sign(&rest, by), sha1)
    }

    /// An index with these lines.
    pub(crate) fn index(text: &str) -> Vec<u8> {
        segment("APKINDEX", text.as_bytes(), true)
    }

    #[test]
    fn a_signed_index_is_read_and_leads_to_the_data() {
        let (private, public) = key();
        let (package, sha1) = package(b"kernel", &private);
        let text = format!(
            "C:Q1{sha1}\nP:linux-lts\nV:6.18.32-r0\nA:x86_64\nS:{}\nt:1764000000\n\n\
             C:Q1{sha1}\nP:busybox\nV:1.37-r9\nt:1764086400\n\n",
            package.len()
        );
        let signed = sign(&index(&text), &private);
        let list =
            |bytes: &[u8], keys: &[RsaKey]| list(bytes, "v3.23/main/x86_64", &["linux-lts"], keys);
        let listing = list(&signed, std::slice::from_ref(&public)).unwrap();
        assert_eq!(listing.date, "2025-11-25");
        let [entry] = listing.packages.as_slice() else {
            panic!("{listing:?}")
        };
        assert_eq!(entry.path, "v3.23/main/x86_64/linux-lts-6.18.32-r0.apk");
        assert_eq!((&*entry.version, &*entry.release), ("6.18.32", "0"));
        let Digest::ApkControl(control) = &entry.digest else {
            panic!("{entry:?}")
        };
        check(&package, control).unwrap();

        // Other data behind the same control segment, and another control segment.
        let mut other = package.clone();
        let at = other.len() - 20;
        other[at] ^= 1;
        assert!(check(&other, control).is_err());
        let reason = check(&package, &[0; 20]).unwrap_err();
        assert!(reason.starts_with("its control segment is not"), "{reason}");

        // Another key, no key, no signature, another index behind the signature.
        let (_, stranger) = key();
        let reason = list(&signed, &[stranger]).unwrap_err();
        assert!(reason.ends_with("signed by `test.rsa.pub`"), "{reason}");
        assert!(list(&signed, &[]).is_err());
        let keys = std::slice::from_ref(&public);
        assert_eq!(
            list(&index(&text), keys).unwrap_err(),
            "it has no signature"
        );
        let mut changed = sign(&index(&text), &private);
        let (_, rest) = split(&changed).unwrap();
        let at = changed.len() - rest.len();
        changed.truncate(at);
        changed.extend(index("P:linux-lts\nV:9-r0\n"));
        assert!(
            list(&changed, keys)
                .unwrap_err()
                .starts_with("no valid signature")
        );
    }
}
