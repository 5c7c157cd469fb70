//! Where a kernel's source comes from: a tree, a tarball, a commit, or Debian's source package.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Error, Progress};
use crate::catalogue::digest::{self, Hasher};
use crate::catalogue::package;
use crate::catalogue::package::files::{self, Limited, MAX_BETWEEN, MAX_TOTAL};

/// Where Debian's packages `linux-source-*` put their tarball.
const DEBIAN: &str = "/usr/src";

/// How the names of tar archives end, and their compression.
const ENDINGS: [(&str, &str); 9] = [
    (".tar", ""),
    (".tar.xz", ".xz"),
    (".txz", ".xz"),
    (".tar.zst", ".zst"),
    (".tzst", ".zst"),
    (".tar.gz", ".gz"),
    (".tgz", ".gz"),
    (".tar.bz2", ".bz2"),
    (".tbz2", ".bz2"),
];

/// How often progress is told while an archive is read, in bytes.
const STEP: u64 = 1 << 20;

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A tree, which is only read.
    Tree(PathBuf),
    /// A compressed tar archive.
    Tarball(PathBuf),
    /// A commit, tag or branch of a repository.
    Git {
        /// The directory with `.git`, or a bare repository.
        dir: PathBuf,
        /// As git names it.
        name: String,
    },
}

impl Source {
    /// What `text` means: a path, `GITDIR@REF`, or the name of a package.
    pub(super) fn find(text: &str) -> Result<Self, Error> {
        let path = Path::new(text);
        let absolute = |path: &Path| fs::canonicalize(path).map_err(Error::on("read", path));
        if path.is_dir() {
            return Self::tree(text, &absolute(path)?);
        }
        if path.is_file() {
            return Ok(Self::Tarball(absolute(path)?));
        }
        if let Some((dir, name)) = text.rsplit_once('@')
            && Path::new(dir).is_dir()
        {
            let dir = absolute(Path::new(dir))?;
            let is_bare = dir.join("objects").is_dir() && dir.join("HEAD").is_file();
            if name.is_empty() || name.starts_with('-') || !(dir.join(".git").exists() || is_bare) {
                return Err(refused(
                    text,
                    format!("`{}` is not a git repository with this ref", dir.display()),
                    "write `GITDIR@REF`, such as `~/linux@v6.18`",
                ));
            }
            return Ok(Self::Git {
                dir,
                name: name.to_owned(),
            });
        }
        if text.starts_with("linux-source") && !text.contains('/') {
            return debian(text, Path::new(DEBIAN));
        }
        Err(refused(
            text,
            "there is no such file or directory".to_owned(),
            "give a source tree, a tarball, `GITDIR@REF`, or the name of a package, such as `linux-source-6.1`",
        ))
    }

    fn tree(text: &str, tree: &Path) -> Result<Self, Error> {
        // A tree that may not be read is not one without these files.
        fs::read_dir(tree).map_err(Error::on("read", tree))?;
        let has = |name: &str| {
            let path = tree.join(name);
            match fs::metadata(&path) {
                Ok(found) => Ok(found.is_file()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(Error::io("read", &path, error)),
            }
        };
        if !(has("Kconfig")? && has("Makefile")?) {
            return Err(refused(
                text,
                "it has no `Kconfig` and `Makefile`".to_owned(),
                "give the top directory of a kernel's source, or `GITDIR@REF` for a bare repository",
            ));
        }
        // What the kernel's Makefile looks at (`outputmakefile`).
        if tree.join(".config").exists() || tree.join("include/config").is_dir() {
            return Err(Error::Unclean(tree.to_owned()));
        }
        Ok(Self::Tree(tree.to_owned()))
    }

    pub(super) fn is_git(&self) -> bool {
        matches!(self, Self::Git { .. })
    }

    /// What its sources and objects are kept under: all commits of one repository share them.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Tree(path) => format!("tree {}", path.display()),
            Self::Tarball(path) => format!("tarball {}", path.display()),
            Self::Git { dir, .. } => format!("git {}", dir.display()),
        }
    }

    /// The digest of the whole source: of all files of a tree, of a tarball, or git's of a commit's tree.
    pub(super) fn digest(
        &self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, Error> {
        match self {
            Self::Tree(tree) => {
                progress(Progress::Reading {
                    source: tree.display().to_string(),
                });
                let mut hasher = Hasher::default();
                absorb_tree(&mut hasher, tree, stop)?;
                Ok(format!("sha256:{}", hasher.finish()))
            }
            Self::Tarball(path) => {
                let digest = digest::of_file(path).map_err(Error::on("read", path))?;
                Ok(format!("sha256:{digest}"))
            }
            Self::Git { dir, name } => {
                let what = format!("failed to find `{name}` in `{}`", dir.display());
                let tree = format!("{name}^{{tree}}");
                let mut git = git(dir);
                git.args(["rev-parse", "--verify", "--end-of-options", &tree]);
                Ok(format!("git:{}", run(git, &what)?.trim()))
            }
        }
    }

    /// In words, with the digest.
    pub(super) fn words(&self, digest: &str) -> String {
        match self {
            Self::Tree(path) | Self::Tarball(path) => format!("{} ({digest})", path.display()),
            Self::Git { dir, name } => format!("{name} of {} ({digest})", dir.display()),
        }
    }

    /// The directory to build from. An archive of this [digest](Self::digest) is unpacked below `place`
    /// if it was not yet, and of a commit only those files are written that differ from the commit
    /// before.
    pub(super) fn provide(
        &self,
        place: &Path,
        digest: &str,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, Error> {
        match self {
            Self::Tree(tree) => Ok(tree.clone()),
            Self::Tarball(path) => unpacked(path, place, digest, stop, progress),
            Self::Git { dir, name } => {
                progress(Progress::CheckingOut {
                    source: name.clone(),
                });
                checked_out(dir, name, place)
            }
        }
    }
}

/// The tarball of one of Debian's packages.
fn debian(name: &str, dir: &Path) -> Result<Source, Error> {
    for ending in ["tar.xz", "tar.zst", "tar.gz", "tar.bz2"] {
        let path = dir.join(format!("{name}.{ending}"));
        if path.is_file() {
            return Ok(Source::Tarball(path));
        }
    }
    Err(refused(
        name,
        format!("`{}` has no tarball of this name", dir.display()),
        &format!("install the package with `apt-get install {name}`"),
    ))
}

/// Feeds the names and bytes of all files below a tree to the hasher, in the order of their names.
/// git's own directory is no part of the source.
fn absorb_tree(hasher: &mut Hasher, dir: &Path, stop: &AtomicBool) -> Result<(), Error> {
    let read = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = read.map_err(Error::on("read", dir))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        if name == ".git" {
            continue;
        }
        let kind = entry.file_type().map_err(Error::on("read", &path))?;
        hasher.field(name.as_encoded_bytes());
        if kind.is_dir() {
            hasher.field(b"directory");
            absorb_tree(hasher, &path, stop)?;
            hasher.field(b"end");
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(Error::on("read", &path))?;
            hasher.field(target.as_os_str().as_encoded_bytes());
        } else if kind.is_file() {
            let bytes = fs::read(&path).map_err(Error::on("read", &path))?;
            hasher.field(&bytes);
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
    }
    Ok(())
}

/// Unpacks an archive, whose one directory is the tree.
fn unpacked(
    archive: &Path,
    place: &Path,
    digest: &str,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, Error> {
    let name = archive
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let digest = digest.trim_start_matches("sha256:");
    let tree = place.join(format!("source-{}", &digest[..16]));
    if tree.is_dir() {
        return Ok(tree);
    }
    let no_archive = |reason: String| {
        refused(
            &name,
            reason,
            "give a `.tar.xz`, `.tar.zst`, `.tar.gz` or `.tar.bz2` of a kernel's source",
        )
    };
    let file = File::open(archive).map_err(Error::on("read", archive))?;
    let total = file.metadata().map_or(0, |found| found.len());
    let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    let (_, compression) = ending
        .ok_or_else(|| no_archive("its name does not end as that of a tar archive".into()))?;
    let counted = Counted {
        file,
        done: 0,
        told: 0,
        stop,
        tell: &mut |done| {
            progress(Progress::Unpacking {
                source: name.clone(),
                done,
                total,
            });
        },
    };
    let half = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempdir_in(place)
        .map_err(Error::on("write to", place))?;
    let reader = package::decompressor(compression, counted)
        .map_err(|error| no_archive(error.to_string()))?;
    let reader = reader.ok_or_else(|| no_archive("its compression is unknown".into()))?;
    write_entries(reader, half.path()).map_err(|error| {
        if stop.load(Ordering::Relaxed) {
            return Error::Stopped;
        }
        Error::io("unpack", archive, error)
    })?;
    let read = fs::read_dir(half.path()).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let inside = read.map_err(Error::on("read", half.path()))?;
    let [only] = inside.as_slice() else {
        return Err(no_archive(
            "it has more than one directory at its top".into(),
        ));
    };
    Source::tree(&name, &only.path())?;
    fs::rename(only.path(), &tree).map_err(Error::on("rename", &tree))?;
    Ok(tree)
}

/// Writes the entries of a tar archive below `dir`, within the limits of packages.
fn write_entries(stream: impl Read, dir: &Path) -> io::Result<()> {
    let (stream, allowed) = Limited::new(stream, MAX_TOTAL);
    let mut tar = tar::Archive::new(stream);
    // As who runs ukci, who may not give files away.
    tar.set_preserve_ownerships(false);
    for (count, entry) in tar.entries()?.enumerate() {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        files::check_count(count)
            .and_then(|()| files::check(&name, entry.size()))
            .map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))?;
        allowed.set(entry.size().saturating_add(MAX_BETWEEN));
        entry.unpack_in(dir)?;
        allowed.set(MAX_BETWEEN);
    }
    Ok(())
}

/// A file that tells how far it was read, and that ends when it is stopped.
struct Counted<'a> {
    file: File,
    done: u64,
    told: u64,
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        let read = self.file.read(buffer)?;
        self.done += read as u64;
        if read == 0 || self.done - self.told >= STEP {
            self.told = self.done;
            (self.tell)(self.done);
        }
        Ok(read)
    }
}

/// Writes the files of a commit below `place`. The repository is only read: the index is our own.
fn checked_out(dir: &Path, name: &str, place: &Path) -> Result<PathBuf, Error> {
    let tree = place.join("source");
    fs::create_dir_all(&tree).map_err(Error::on("create", &tree))?;
    let index = place.join("index");
    // We hold the lock of the place: whoever made this one was killed.
    let _ = fs::remove_file(place.join("index.lock"));
    let what = format!("failed to check out `{name}` of `{}`", dir.display());
    let mut read_tree = git(dir);
    read_tree
        .env("GIT_INDEX_FILE", &index)
        .env("GIT_WORK_TREE", &tree)
        .args(["read-tree", "--reset", "-u", "--end-of-options"])
        .arg(format!("{name}^{{tree}}"));
    // `read-tree` looks for the work tree's root.
    read_tree.current_dir(&tree);
    run(read_tree, &what)?;
    Source::tree(name, &tree)?;
    Ok(tree)
}

/// git on this repository, whatever the caller's environment says of another.
fn git(dir: &Path) -> Command {
    let mut git = Command::new("git");
    let inside = dir.join(".git");
    git.env("GIT_DIR", if inside.exists() { &inside } else { dir });
    git.env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    git
}

fn run(mut git: Command, what: &str) -> Result<String, Error> {
    let output = git.output().map_err(Error::on("run", Path::new("git")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .lines()
        .rfind(|line| !line.is_empty())
        .unwrap_or("it did not say why");
    Err(Error::Git {
        what: what.to_owned(),
        said: said.to_owned(),
    })
}

fn refused(name: &str, reason: String, hint: &str) -> Error {
    Error::Source {
        source_name: name.to_owned(),
        reason,
        hint: hint.to_owned(),
    }
}
