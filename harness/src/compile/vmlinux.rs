//! Generates `vmlinux.h`, the types of a kernel as C, from the BTF in its image.
//!
//! All cells of an architecture use the header of the same kernel, the newest locked one, because
//! an object must not depend on which cells run. CO-RE adapts it to each kernel when it is loaded.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, Verified};
use ukci_schema::plan::FileRef;

use crate::arch::kernel_version;
use crate::catalogue::checked_file;
use crate::catalogue::digest;

/// Names another bpftool.
const VARIABLE: &str = "UKCI_BPFTOOL";

/// Where a header is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The newest locked kernel of each architecture.
    Auto,
    /// The user's own, for every architecture.
    File(PathBuf),
}

/// There is no `vmlinux.h` to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// bpftool writes the C.
    #[error("`bpftool`, which writes `vmlinux.h`, is not installed")]
    NoBpftool,
    /// No kernel is locked for an architecture.
    #[error("there is no kernel for {0} to write a `vmlinux.h` from")]
    NoKernel(Arch),
    /// An image carries no BTF.
    #[error("the kernel image `{}` has no BTF", _0.display())]
    NoBtf(PathBuf),
    /// bpftool refused.
    #[error("bpftool could not write the `vmlinux.h` of `{}`: it said `{said}`", image.display())]
    Bpftool {
        /// The kernel image.
        image: PathBuf,
        /// The last line of what it said.
        said: String,
    },
    /// A file could not be read or written.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoBpftool => Some(format!(
                "install it, for example with `apt-get install bpftool`, set `{VARIABLE}` to its \
                 path, or give a header with `--vmlinux-h FILE`"
            )),
            Self::NoKernel(_) | Self::NoBtf(_) | Self::Bpftool { .. } => {
                Some("give a header with `--vmlinux-h FILE`".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}

/// The kernel that headers of an architecture are made of: the newest series that is no release
/// candidate's, of the flavour that is quicker to fetch.
pub fn kernel(lock: &Lock, arch: Arch) -> Result<&LockedKernel, Error> {
    let of_arch = |kernel: &&LockedKernel| {
        kernel.arch == arch
            && kernel.release != "experimental"
            && kernel.verified != Verified::Never
    };
    let kernels = lock.kernels.iter().filter(of_arch);
    kernels
        .max_by_key(|kernel| (kernel_version(&kernel.series), kernel.flavour == "cloud"))
        .ok_or(Error::NoKernel(arch))
}

/// A directory with the `vmlinux.h` of a kernel image, made once.
pub fn of_image(image: &FileRef, cache: &Path) -> Result<PathBuf, Error> {
    let dir = cache.join("vmlinux-h").join(&image.sha256);
    let header = dir.join("vmlinux.h");
    if checked_file::is_whole(&header) {
        return Ok(dir);
    }
    let bpftool = bpftool().ok_or(Error::NoBpftool)?;
    let on = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    };
    std::fs::create_dir_all(&dir).map_err(on("create", &dir))?;
    let bytes = std::fs::read(&image.path).map_err(on("read", &image.path))?;
    let btf = btf(&bytes).ok_or_else(|| Error::NoBtf(image.path.clone()))?;
    let scratch = tempfile::tempdir_in(&dir).map_err(on("create", &dir))?;
    let raw = scratch.path().join("btf");
    std::fs::write(&raw, btf).map_err(on("write", &raw))?;
    let output = Command::new(&bpftool)
        .args(["btf", "dump", "file"])
        .arg(&raw)
        .args(["format", "c"])
        .stdin(Stdio::null())
        .output()
        .map_err(on("run", &bpftool))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Bpftool {
            image: image.path.clone(),
            said: said.trim().lines().last().unwrap_or_default().to_owned(),
        });
    }
    checked_file::write(&header, &[&output.stdout]).map_err(on("write", &header))?;
    Ok(dir)
}

/// A directory with the user's own header under the name that sources include.
pub fn of_file(file: &Path, cache: &Path) -> Result<PathBuf, Error> {
    let on = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    };
    let bytes = std::fs::read(file).map_err(on("read", file))?;
    let dir = cache.join("vmlinux-h").join(digest::of(&bytes));
    let header = dir.join("vmlinux.h");
    if !checked_file::is_whole(&header) {
        std::fs::create_dir_all(&dir).map_err(on("create", &dir))?;
        checked_file::write(&header, &[&bytes]).map_err(on("write", &header))?;
    }
    Ok(dir)
}

/// bpftool: where its variable says, else in `PATH`, else where Debian has it, which is not in
/// every user's `PATH`.
fn bpftool() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join("bpftool"))
        .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}

/// The BTF in a kernel image: the largest block that begins with a header of
/// `include/uapi/linux/btf.h` whose strings follow its types. The kernel's own is in one piece, in
/// an ELF file and in a raw `Image` alike.
fn btf(image: &[u8]) -> Option<&[u8]> {
    const MAGIC: [u8; 4] = [0x9f, 0xeb, 1, 0];
    let mut best: Option<&[u8]> = None;
    let mut from = 0;
    while let Some(found) = image[from..].windows(4).position(|four| four == MAGIC) {
        let at = from + found;
        from = at + 4;
        let block = block(&image[at..]);
        if block.map(<[u8]>::len) > best.map(<[u8]>::len) {
            best = block;
        }
    }
    best
}

/// The BTF that `bytes` begin with.
fn block(bytes: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let four = bytes.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let (header, types_at, types, strings_at, strings) =
        (word(4)?, word(8)?, word(12)?, word(16)?, word(20)?);
    let is_header = (24..=64).contains(&header) && types_at == 0 && strings_at == types;
    if !is_header || strings == 0 {
        return None;
    }
    bytes.get(..header.checked_add(types)?.checked_add(strings)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(types: u32, strings: u32) -> Vec<u8> {
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_largest_whole_block_is_taken() {
        let mut image = b"....".to_vec();
        image.extend(header(8, 4));
        image.extend([1; 12]);
        image.extend(b"\x9f\xeb\x01\x00 no header");
        let start = image.len();
        image.extend(header(16, 16));
        image.extend([2; 32]);
        // Cut short.
        image.extend(header(4000, 16));
        assert_eq!(btf(&image), Some(&image[start..start + 56]));
        assert_eq!(btf(&image[..start + 30]).map(<[u8]>::len), Some(36));
        assert_eq!(btf(b""), None);
    }

    #[test]
    fn headers_are_of_the_newest_locked_kernel() {
        let lock: Lock = serde_json::from_str(crate::resolve::LOCK).unwrap();
        for arch in Arch::ALL {
            let kernel = kernel(&lock, arch).unwrap();
            assert_eq!((&*kernel.release, kernel.arch), ("sid", arch));
        }
        let none = Lock {
            kernels: Vec::new(),
            ..lock
        };
        assert!(kernel(&none, Arch::X86_64).is_err());
    }
}
