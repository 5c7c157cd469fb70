//! Writes files atomically, so that a file is complete or does not exist.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How the name of a file begins that is being written. After a kill it stays.
pub(crate) const PREFIX: &str = ".ukci-";

/// Writes the parts, one after the other, beside `path`, and renames the whole into its place. Whoever
/// reads meanwhile sees the old file or the whole new one. The directory must exist.
///
/// A device or a pipe, such as `/dev/stdout`, is written to and stays: to rename a file over it would
/// take it from everybody else on the host, which root is allowed to do.
pub fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut special = fs::File::options().write(true).open(path)?;
        return parts.iter().try_for_each(|part| special.write_all(part));
    }
    let directory = directory(path);
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        // As a file that is written plainly; a temporary file is closed to others.
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    // Else a power cut could leave the name with a part of the bytes.
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Renames what is complete and on the disk, a file or a directory, into its place, so that a power
/// cut afterwards does not undo it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    sync_directory(directory(to))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a directory's names to the disk.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Some file systems know no such thing: then the name is as safe as it gets.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "a longer text of before").unwrap();
        write(&path, &[b"one ", b"two"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        // A pipe stays a pipe.
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let reader = {
            let pipe = pipe.clone();
            std::thread::spawn(move || std::fs::read(pipe).unwrap())
        };
        write(&pipe, &[b"one ", b"two"]).unwrap();
        assert_eq!(reader.join().unwrap(), b"one two");
        let kind = std::fs::symlink_metadata(&pipe).unwrap().file_type();
        assert!(!kind.is_file());
        std::fs::remove_file(&pipe).unwrap();
        // What cannot be renamed leaves nothing either.
        let taken = dir.path().join("directory");
        std::fs::create_dir(&taken).unwrap();
        write(&taken, &[b"x"]).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    /// Has every `fsync` of this thread fail, as on a disk that is breaking. False if this kernel has
    /// no seccomp.
    #[expect(unsafe_code, reason = "no crate of ours installs a seccomp filter")]
    fn fail_syncs() -> bool {
        let step = |code: u32, k: u32, (jt, jf)| libc::sock_filter {
            code: u16::try_from(code).unwrap(),
            jt,
            jf,
            k,
        };
        let fsync = u32::try_from(libc::SYS_fsync).unwrap();
        let fails = libc::SECCOMP_RET_ERRNO | libc::EIO.cast_unsigned();
        let mut filter = [
            // The number of the system call.
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, (0, 0)),
            step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, fsync, (0, 1)),
            step(libc::BPF_RET | libc::BPF_K, fails, (0, 0)),
            step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, (0, 0)),
        ];
        let program = libc::sock_fprog {
            len: 4,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: numbers, and a filter that lives through the call, in which the kernel copies it.
        unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        }
    }

    #[test]
    fn what_is_not_on_the_disk_does_not_get_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let other = path.clone();
        // A filter is of one thread, and stays.
        let written = std::thread::spawn(move || {
            let failing = fail_syncs();
            failing.then(|| write(&other, &[b"bytes"]))
        });
        let Some(written) = written.join().unwrap() else {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            return eprintln!("skipped: this kernel has no seccomp");
        };
        assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
