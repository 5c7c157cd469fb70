//! Caches answers about this host between runs of ukci.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::atomic_file;

/// An answer about this host that outlives the process: a file of the cache, found by what the
/// answer depends on. A cache that cannot be read or written only costs time.
#[derive(Debug)]
pub(super) struct CachedAnswer {
    path: PathBuf,
}

impl CachedAnswer {
    /// The place for the answer to `question`, which depends on `inputs`.
    pub(super) fn of(cache: &Path, question: &str, inputs: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for input in inputs {
            digest.update(input.as_bytes());
            digest.update([0]);
        }
        // 64 bits tell a host's few answers apart.
        let key = HEXLOWER.encode(&digest.finalize()[..8]);
        Self {
            path: cache.join("host").join(format!("{question}-{key}.json")),
        }
    }

    /// The answer, if there is one that can be read.
    pub(super) fn recall<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Keeps an answer. Readers see the old file or the whole new one.
    pub(super) fn remember<T: Serialize>(&self, answer: &T) {
        if let Err(error) = self.write(answer) {
            tracing::debug!(path = %self.path.display(), %error, "not remembered");
        }
    }

    fn write<T: Serialize>(&self, answer: &T) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        atomic_file::write(&self.path, &[&serde_json::to_vec_pretty(answer)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_cache_only_costs_time() {
        let cached = CachedAnswer::of(Path::new("/proc"), "kvm", &["a"]);
        cached.remember(&true);
        assert_eq!(cached.recall::<bool>(), None);
    }
}
