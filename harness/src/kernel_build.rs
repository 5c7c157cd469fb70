//! Builds kernels from source: it takes a source tree, a tarball, a git ref or Debian's source
//! package, configures and compiles it, and keeps the image in the cache.
//!
//! An image is found again by the digest of its source, its configuration and its compiler. The
//! source and the object files are kept as well, so that make compiles only what a change reaches.
//!
//! ```text
//! built-kernels/<key>/          linux-<release>-… config-<release> build.json
//! kernel-build/<place>/         source, if it was unpacked; objects-<variant>/; lock
//! ```

mod config;
mod error;
mod make;
mod source;
mod tools;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use ukci_schema::cell::Arch;

use crate::atomic_file;
use crate::catalogue::digest::{self, Hasher};
pub use config::{Base, Debug, Setting};
pub use error::Error;
use make::Make;
use source::Source;

/// Goes into every key: raised when the same source would give another image.
const RECIPE: &[u8] = b"ukci.kernel-build/1";

/// The directories below the cache.
pub(crate) const BUILT: &str = "built-kernels";
/// Sources and object files.
pub(crate) const WORK: &str = "kernel-build";

/// What was built, and of what.
pub(crate) const RECORD: &str = "build.json";

/// Held while something is built from a source, and written at each build.
pub(crate) const LOCK: &str = "lock";

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Request {
    /// A source tree, a tarball, `GITDIR@REF`, or the name of a package such as `linux-source-6.1`.
    pub source: String,
    /// The architecture of the kernel.
    pub arch: Arch,
    /// Where the configuration comes from.
    pub base: Base,
    /// What the kernel is to check of itself.
    pub debug: Vec<Debug>,
    /// Options that are set otherwise.
    pub settings: Vec<Setting>,
    /// How many compilers run at once.
    pub jobs: usize,
    /// The cache directory.
    pub cache: PathBuf,
}

/// How a build goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The files of a source tree are read, to know whether they changed.
    Reading {
        /// The tree.
        source: String,
    },
    /// The source is unpacked: so many bytes of the archive, of so many.
    Unpacking {
        /// The archive.
        source: String,
        /// Bytes read so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A commit is checked out.
    CheckingOut {
        /// The ref.
        source: String,
    },
    /// The configuration is made.
    Configuring {
        /// The kernel's version.
        release: String,
    },
    /// make has begun with this file.
    Making {
        /// The file, below the tree.
        file: String,
        /// How many files it has made so far.
        done: u64,
    },
    /// Another process builds from the same source.
    Waiting,
}

/// A kernel that was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// The file that boots. Its name is the kernel's name in reports.
    pub image: PathBuf,
    /// SHA-256 of the image.
    pub sha256: String,
    /// What `uname -r` will say.
    pub release: String,
    /// The architecture.
    pub arch: Arch,
    /// The source, in words: `v6.18 of /home/me/linux (tree 1f2e…)`.
    pub source: String,
    /// The compiler, as it states its version.
    pub compiler: String,
    /// Options of ukci's own configuration that this kernel has not got.
    pub missing: Vec<String>,
    /// How many files make made. None were made for a kernel that was found in the cache.
    #[serde(skip)]
    pub made: u64,
    /// Seconds that it took.
    #[serde(skip)]
    pub seconds: u64,
}

/// Builds a kernel, or finds the one that was built of the same source. Blocking.
///
/// It ends soon after `stop` has become true, with [`Error::Stopped`], and leaves no process behind.
pub fn build(
    request: &Request,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Built, Error> {
    let start = Instant::now();
    let source = Source::find(&request.source)?;
    let config = config::text(request)?;
    let compiler = tools::compiler(request.arch)?;
    let versions = tools::versions(&compiler)?;
    let source_digest = source.digest(stop, progress)?;

    let mut key = Hasher::default();
    for field in [RECIPE, source_digest.as_bytes(), config.as_bytes()] {
        key.field(field);
    }
    key.field(request.arch.name().as_bytes());
    key.field(versions.as_bytes());
    let key = key.finish();
    let built = absolute(&request.cache)?.join(BUILT).join(&key[..16]);
    if let Some(built) = found(&built) {
        return Ok(built);
    }
    tools::check(&compiler, &config, &source)?;

    let place = absolute(&request.cache)?
        .join(WORK)
        .join(&digest::of(source.place().as_bytes())[..16]);
    let _lock = lock(&place, progress)?;
    let provided = source.provide(&place, &source_digest, stop, progress);
    let tree = provided.inspect_err(|_| remove_if_unused(&place))?;
    let objects = place.join(format!("objects-{}-{}", request.arch, variant(request)));
    fs::create_dir_all(&objects).map_err(Error::on("create", &objects))?;

    let make = Make {
        tree: &tree,
        objects: &objects,
        arch: request.arch,
        compiler: &compiler,
        jobs: request.jobs,
        stop,
    };
    let written = objects.join("ukci.config");
    fs::write(&written, &config).map_err(Error::on("write", &written))?;
    progress(Progress::Configuring {
        release: make.version()?,
    });
    make.configure(&request.base, &written)?;
    let path = objects.join(".config");
    let made_config = fs::read_to_string(&path).map_err(Error::on("read", &path))?;
    let missing = config::check(request, &config, &made_config)?;
    let release = make.release()?;
    let (image, files) = make.kernel(&made_config, progress)?;

    let mut kernel = Built {
        image: PathBuf::new(),
        sha256: String::new(),
        release,
        arch: request.arch,
        source: source.words(&source_digest),
        compiler: versions,
        missing,
        made: files,
        seconds: 0,
    };
    let name = name(request, &kernel.release, &key);
    kernel.image = built.join(name);
    keep(&mut kernel, &built, &image, &made_config)?;
    kernel.seconds = start.elapsed().as_secs();
    Ok(kernel)
}

/// What tells the object files of one configuration from those of another. Settings do not: make knows
/// which files an option reaches.
fn variant(request: &Request) -> String {
    let base = match &request.base {
        Base::Bpf => "bpf".to_owned(),
        Base::File(path) => digest::of(path.as_os_str().as_encoded_bytes())[..8].to_owned(),
    };
    let mut words = vec![base];
    words.extend(request.debug.iter().map(Debug::to_string));
    words.join("-")
}

/// The file of the image, which is the kernel's name in reports: two builds never have the same.
fn name(request: &Request, release: &str, key: &str) -> String {
    let base = match &request.base {
        Base::Bpf => "bpf",
        Base::File(_) => "custom",
    };
    let mut words = vec!["linux".to_owned(), release.to_owned(), base.to_owned()];
    words.extend(request.debug.iter().map(Debug::to_string));
    words.push(key[..8].to_owned());
    words.join("-")
}

/// Puts the image and what belongs to it into the cache, as a whole.
fn keep(kernel: &mut Built, dir: &Path, image: &Path, config: &str) -> Result<(), Error> {
    let parent = dir.parent().unwrap_or(dir);
    fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
    let half = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempdir_in(parent)
        .map_err(Error::on("write to", parent))?;
    let bytes = fs::read(image).map_err(Error::on("read", image))?;
    kernel.sha256 = digest::of(&bytes);
    let record =
        serde_json::to_vec_pretty(kernel).map_err(|error| Error::io("write", dir, error.into()))?;
    let config_name = format!("config-{}", kernel.release);
    let image_name = kernel.image.file_name().unwrap_or_default();
    for (name, bytes) in [
        (image_name, bytes.as_slice()),
        (config_name.as_ref(), config.as_bytes()),
        (RECORD.as_ref(), &record),
    ] {
        atomic_file::write(&half.path().join(name), &[bytes])
            .map_err(Error::on("write", parent))?;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("remove", dir, error));
        }
        _ => {}
    }
    // Others may boot it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(half.path(), open).map_err(Error::on("write to", parent))?;
    atomic_file::rename(&half.keep(), dir).map_err(Error::on("write", dir))
}

/// The kernel in this directory of the cache, if it has the bytes that it was built with.
fn found(dir: &Path) -> Option<Built> {
    let built: Built = serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()?;
    // The cache may have been moved.
    let image = dir.join(built.image.file_name()?);
    (digest::of_file(&image).ok()? == built.sha256).then_some(Built { image, ..built })
}

/// Locks a place, which is created. Others wait.
fn lock(place: &Path, progress: &mut dyn FnMut(Progress)) -> Result<File, Error> {
    let path = place.join(LOCK);
    loop {
        fs::create_dir_all(place).map_err(Error::on("create", place))?;
        let file = match File::create(&path) {
            // It was removed just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(Error::on("create", &path))?,
        };
        if file.try_lock().is_err() {
            progress(Progress::Waiting);
            file.lock().map_err(Error::on("lock", &path))?;
        }
        // Whoever had it before may have removed it with the place.
        let locked = file.metadata().map_err(Error::on("read", &path))?.ino();
        if fs::metadata(&path).is_ok_and(|found| found.ino() == locked) {
            return Ok(file);
        }
    }
}

/// Removes a place in which nothing was kept. Its lock is held.
fn remove_if_unused(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    if names.all(|name| name == LOCK) {
        // A place that cannot be removed is in nobody's way.
        let _ = fs::remove_file(place.join(LOCK)).and_then(|()| fs::remove_dir(place));
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::on("resolve", path))
}

#[cfg(test)]
mod tests;
