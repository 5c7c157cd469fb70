//! The keys with which distributions sign. Checks whether one of them signed a text or a file.

use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pgp::composed::{
    CleartextSignedMessage, Deserializable, DetachedSignature, PublicOrSecret, SignedPublicKey,
    SignedPublicSubKey,
};
use pgp::packet::{Signature, SignatureType};
use pgp::types::{KeyDetails, Timestamp};

/// Names further directories, separated by `:`, for hosts that keep the keys elsewhere (NixOS).
const VARIABLE: &str = "UKCI_KEYRINGS";

/// Directories where distributions and administrators keep apt's keys.
const DIRECTORIES: [&str; 3] = [
    "/usr/share/keyrings",
    "/etc/apt/keyrings",
    "/etc/apt/trusted.gpg.d",
];

/// Where the package `distribution-gpg-keys` has the keys of many distributions, and where Alpine
/// has its own.
const VENDOR_DIRECTORIES: [&str; 2] = ["/usr/share/distribution-gpg-keys", "/etc/apk/keys"];

/// How deep the directories of vendors' keys are searched.
const MAX_DEPTH: usize = 3;

/// Largest file that is read as keys; that of Arch Linux has 2 MB.
const MAX_KEYRING: u64 = 32 << 20;

/// Files with keys, by default Debian's archive keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keyrings {
    files: Vec<PathBuf>,
    /// Where other keys are looked for.
    directories: Vec<PathBuf>,
    /// The only keys that count, if any are named; otherwise those files are Debian's.
    fingerprints: Vec<String>,
}

/// A public key of RSA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RsaKey {
    /// As `SubjectPublicKeyInfo` in DER.
    pub(crate) der: Vec<u8>,
}

impl Keyrings {
    /// Those of this host. Keys of other archives that apt trusts have no say about Debian's.
    pub(crate) fn of_host() -> Self {
        Self::of(&std::env::var_os(VARIABLE).unwrap_or_default())
    }

    /// Those of this host, and in the directories that are named.
    fn of(named: &OsStr) -> Self {
        let mut files = Vec::new();
        let named = std::env::split_paths(named).filter(|path| path.is_absolute());
        let named: Vec<PathBuf> = named.collect();
        let mut directories: Vec<PathBuf> = DIRECTORIES.iter().map(PathBuf::from).collect();
        directories.extend(named);
        for directory in &directories {
            let Ok(entries) = std::fs::read_dir(directory) else {
                continue;
            };
            let mut found: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|p| is_ours(p))
                .collect();
            found.sort();
            files.append(&mut found);
        }
        directories.extend(VENDOR_DIRECTORIES.iter().map(PathBuf::from));
        Self {
            files,
            directories,
            fingerprints: Vec::new(),
        }
    }

    /// Only these files, for tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn only(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }

    /// Keys of streams from this directory only, for tests.
    #[cfg(test)]
    pub(crate) fn below(directory: &Path) -> Self {
        Self {
            directories: vec![directory.to_owned()],
            ..Self::default()
        }
    }

    /// Of all the keys of this host only those with these fingerprints.
    pub(crate) fn with_fingerprints(&self, fingerprints: &[String]) -> Self {
        let mut files = Vec::new();
        for directory in &self.directories {
            collect(directory, MAX_DEPTH, &mut files);
        }
        Self {
            files,
            directories: Vec::new(),
            fingerprints: fingerprints.to_vec(),
        }
    }

    /// Whose keys these are, for a sentence.
    fn whose(&self) -> &'static str {
        if self.fingerprints.is_empty() {
            "Debian's"
        } else {
            "this stream's"
        }
    }

    /// Checks a signature that stands apart from what it signs, in either of OpenPGP's encodings.
    pub(crate) fn verify(&self, signature: &[u8], signed_bytes: &[u8]) -> Result<(), String> {
        let keys = self.keys()?;
        let unreadable = |error| format!("its signature cannot be read: {error}");
        let signatures: Vec<DetachedSignature> = if signature.starts_with(b"-----BEGIN") {
            let (all, _) = DetachedSignature::from_armor_many(signature).map_err(unreadable)?;
            all.collect::<Result<_, _>>().map_err(unreadable)?
        } else {
            let all = DetachedSignature::from_bytes_many(signature).map_err(unreadable)?;
            all.collect::<Result<_, _>>().map_err(unreadable)?
        };
        let is_good = |found: &DetachedSignature| {
            found.signature.typ() == Some(SignatureType::Binary)
                && keys
                    .iter()
                    .any(|key| signed(key, &found.signature, signed_bytes))
        };
        if signatures.iter().any(is_good) {
            return Ok(());
        }
        Err(self.no_valid(signatures.iter().map(|found| &found.signature)))
    }

    /// The keys of RSA among these.
    pub(crate) fn rsa(&self) -> Vec<RsaKey> {
        let read = |path: &PathBuf| {
            let text = String::from_utf8(read_file(path)?).ok()?;
            let body = text
                .trim()
                .strip_prefix("-----BEGIN PUBLIC KEY-----")?
                .strip_suffix("-----END PUBLIC KEY-----")?;
            let body: String = body.split_ascii_whitespace().collect();
            let der = data_encoding::BASE64.decode(body.as_bytes()).ok()?;
            let fingerprint = ukci_harness::catalogue::digest::of(&der).to_uppercase();
            let is_named = self.fingerprints.contains(&fingerprint);
            is_named.then_some(RsaKey { der })
        };
        self.files.iter().filter_map(read).collect()
    }

    fn no_valid<'a>(&self, signatures: impl Iterator<Item = &'a Signature>) -> String {
        let issuers: Vec<String> = signatures
            .flat_map(Signature::issuer_fingerprint)
            .map(|fingerprint| format!("{fingerprint:?}"))
            .collect();
        format!(
            "no valid signature by a key of {}; signed by {}",
            self.whose(),
            issuers.join(", ")
        )
    }

    /// The text of a clear-signed message if one of these keys made one of its signatures. The
    /// error is a reason that reads behind a colon.
    pub(crate) fn verified_text(&self, message: &[u8]) -> Result<String, String> {
        let keys = self.keys()?;
        let (message, _) = CleartextSignedMessage::from_armor(message)
            .map_err(|error| format!("it is not a signed text: {error}"))?;
        // The very text that was hashed: nothing outside of the signature is ever looked at.
        let text = message.signed_text();
        let is_good = |signature: &Signature| {
            matches!(
                signature.typ(),
                Some(SignatureType::Text | SignatureType::Binary)
            ) && keys
                .iter()
                .any(|key| signed(key, signature, text.as_bytes()))
        };
        if message.signatures().iter().any(is_good) {
            return Ok(text);
        }
        Err(self.no_valid(message.signatures().iter()))
    }

    fn keys(&self) -> Result<Vec<SignedPublicKey>, String> {
        let mut keys = Vec::new();
        for file in &self.files {
            // One damaged file of several must not take the others' keys away.
            keys.extend(read_keys(file).unwrap_or_default());
        }
        if !self.fingerprints.is_empty() {
            keys.retain(|key| {
                let fingerprint = key.fingerprint();
                let fingerprint = data_encoding::HEXUPPER.encode(fingerprint.as_bytes());
                self.fingerprints.contains(&fingerprint)
            });
            if keys.is_empty() {
                return Err(format!(
                    "none of the keys {} is in {}, {} or in a directory that `{VARIABLE}` names",
                    self.fingerprints.join(", "),
                    DIRECTORIES.join(", "),
                    VENDOR_DIRECTORIES.join(", "),
                ));
            }
        }
        if keys.is_empty() {
            return Err(format!(
                "none of Debian's archive keys is in {} or in a directory that `{VARIABLE}` names",
                DIRECTORIES.join(", ")
            ));
        }
        Ok(keys)
    }
}

/// `debian-archive-keyring.gpg`, `debian-archive-bookworm-stable.asc`, not the removed keys.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default();
    name.starts_with("debian-archive-")
        && !name.contains("removed")
        && (ending == "gpg" || ending == "asc" || ending == "pgp")
}

/// The files below a directory. Links are followed to files only, so that there is no circle.
fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_file() {
            files.push(path);
        } else if depth > 0 && !path.is_symlink() {
            collect(&path, depth - 1, files);
        }
    }
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_KEYRING).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn read_keys(path: &Path) -> Option<Vec<SignedPublicKey>> {
    let bytes = read_file(path)?;
    let keys = if bytes.starts_with(b"-----BEGIN") {
        PublicOrSecret::from_armor_many(bytes.as_slice()).ok()?.0
    } else {
        PublicOrSecret::from_bytes_many(BufReader::new(bytes.as_slice())).ok()?
    };
    Some(
        keys.filter_map(|key| match key {
            Ok(PublicOrSecret::Public(key)) => Some(key),
            _ => None,
        })
        .collect(),
    )
}

/// Whether the key, or a subkey that it vouches for, made the signature while it was valid.
fn signed(key: &SignedPublicKey, signature: &Signature, text: &[u8]) -> bool {
    if !key.details.revocation_signatures.is_empty() {
        return false;
    }
    let own = key.details.users.iter().flat_map(|user| &user.signatures);
    let own = own.chain(&key.details.direct_signatures);
    if is_in_time(&key.primary_key, own, signature) && signature.verify(key, text).is_ok() {
        return true;
    }
    key.public_subkeys.iter().any(|subkey| {
        may_sign(key, subkey)
            && is_in_time(&subkey.key, subkey.signatures.iter(), signature)
            && signature.verify(&subkey.key, text).is_ok()
    })
}

/// A subkey is the key's only by a binding signature that says so both ways.
fn may_sign(key: &SignedPublicKey, subkey: &SignedPublicSubKey) -> bool {
    let is_revoked = |s: &Signature| s.typ() == Some(SignatureType::SubkeyRevocation);
    !subkey.signatures.iter().any(is_revoked)
        && subkey
            .signatures
            .iter()
            .any(|binding| binding.key_flags().sign())
        && subkey.verify_bindings(&key.primary_key).is_ok()
}

/// Whether the signature was made before the key expired. Of several self-signatures the last one
/// counts: keys are prolonged by new ones.
fn is_in_time<'a>(
    key: &impl KeyDetails,
    own: impl Iterator<Item = &'a Signature>,
    signature: &Signature,
) -> bool {
    let Some(made) = signature.created().map(|time| u64::from(time.as_secs())) else {
        return false;
    };
    let born = u64::from(key.created_at().as_secs());
    let latest = own.max_by_key(|own| own.created().map_or(0, Timestamp::as_secs));
    let lifetime = latest.and_then(Signature::key_expiration_time);
    let lifetime = lifetime.map_or(0, |lifetime| u64::from(lifetime.as_secs()));
    // A signature may end before its key does.
    let lasts = signature.signature_expiration_time();
    let lasts = lasts.map_or(0, |lasts| u64::from(lasts.as_secs()));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    made >= born
        && (lifetime == 0 || made < born + lifetime)
        && (lasts == 0 || now < made.saturating_add(lasts))
}

#[cfg(test)]
pub(crate) mod tests {
    use pgp::composed::{
        ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedSecretKey, SubkeyParamsBuilder,
    };
    use pgp::types::{Password, SigningKey};
    use rand::rngs::OsRng;

    use super::*;

    /// A key with a subkey for signing, as Debian's are.
    pub(crate) fn key() -> SignedSecretKey {
        let subkey = SubkeyParamsBuilder::default()
            .key_type(KeyType::Ed25519)
            .can_sign(true)
            .build();
        SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("Archive <archive@example.org>".to_owned())
            .subkeys(vec![subkey.unwrap()])
            .build()
            .unwrap()
            .generate(OsRng)
            .unwrap()
    }

    /// `text` clear-signed.
    pub(crate) fn sign(text: &str, by: &impl SigningKey) -> Vec<u8> {
        CleartextSignedMessage::sign(OsRng, text, by, &Password::empty())
            .unwrap()
            .to_armored_bytes(ArmorOptions::default())
            .unwrap()
    }

    /// A keyring file below `dir` with the key's public half.
    pub(crate) fn keyring(dir: &Path, keys: &[&SignedSecretKey]) -> Keyrings {
        let files = keys.iter().enumerate().map(|(number, key)| {
            let file = dir.join(format!("debian-archive-{number}.asc"));
            let armored = key
                .to_public_key()
                .to_armored_bytes(ArmorOptions::default());
            std::fs::write(&file, armored.unwrap()).unwrap();
            file
        });
        Keyrings::only(files.collect())
    }

    #[test]
    fn a_text_signed_by_the_key_or_its_subkey_is_trusted() {
        let (dir, ours, other) = (tempfile::tempdir().unwrap(), key(), key());
        let keyrings = keyring(dir.path(), &[&other, &ours]);
        let text = "Suite: sid\n- dash\nDate: today\n";
        for message in [
            sign(text, &ours.primary_key),
            sign(text, &ours.secret_subkeys[0].key),
        ] {
            let verified = keyrings.verified_text(&message).unwrap();
            assert_eq!(verified.replace("\r\n", "\n"), text);
        }
    }

    #[test]
    fn a_strangers_signature_a_changed_text_and_no_signature_are_refused() {
        let (dir, ours, stranger) = (tempfile::tempdir().unwrap(), key(), key());
        let keyrings = keyring(dir.path(), &[&ours]);
        let refused = |message: &[u8]| keyrings.verified_text(message).unwrap_err();

        let text = refused(&sign("Suite: sid\n", &stranger.primary_key));
        assert!(
            text.starts_with("no valid signature by a key of Debian's; signed by "),
            "{text}"
        );

        let changed = String::from_utf8(sign("Suite: sid\n", &ours.primary_key)).unwrap();
        let text = refused(changed.replace("Suite: sid", "Suite: sad").as_bytes());
        assert!(text.starts_with("no valid signature"), "{text}");

        let text = refused(b"Suite: sid\n");
        assert!(text.starts_with("it is not a signed text"), "{text}");

        let none = Keyrings::only(vec![dir.path().join("missing.asc")]);
        let text = none.verified_text(changed.as_bytes()).unwrap_err();
        assert!(
            text.starts_with("none of Debian's archive keys is in /usr/share/keyrings"),
            "{text}"
        );
    }

    #[test]
    fn a_stranger_cannot_adopt_a_subkey() {
        let (dir, ours, stranger) = (tempfile::tempdir().unwrap(), key(), key());
        // The stranger's subkey under our primary key, without our binding signature.
        let mut forged = ours.to_public_key();
        forged.public_subkeys = stranger.to_public_key().public_subkeys;
        let file = dir.path().join("debian-archive-forged.asc");
        std::fs::write(
            &file,
            forged.to_armored_bytes(ArmorOptions::default()).unwrap(),
        )
        .unwrap();
        let message = sign("Suite: sid\n", &stranger.secret_subkeys[0].key);
        assert!(Keyrings::only(vec![file]).verified_text(&message).is_err());
    }

    #[test]
    fn keys_are_looked_for_where_the_host_says() {
        let dir = tempfile::tempdir().unwrap();
        let key = key();
        let message = sign("text\n", &key.secret_subkeys[0].key);
        keyring(dir.path(), &[&key]);
        let found = Keyrings::of(dir.path().as_os_str());
        assert_eq!(found.verified_text(&message).unwrap().trim_end(), "text");
        // Not from where this happens to run.
        assert!(
            Keyrings::of(OsStr::new("relative:"))
                .verified_text(&message)
                .is_err()
        );
    }
}
