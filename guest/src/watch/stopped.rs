//! A stopped call, and the process that made it: its memory, and duplicates of its descriptors.
#![expect(
    unsafe_code,
    reason = "ioctls of a seccomp listener, memory of another process"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `struct seccomp_notif`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    nr: i32,
    arch: u32,
    instruction: u64,
    args: [u64; 6],
}

/// `struct seccomp_notif_resp`.
#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

// _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp), the same on each
// of our architectures.
const RECEIVE: libc::Ioctl = 0xc050_2100;
const SEND: libc::Ioctl = 0xc018_2101;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const CONTINUE: u32 = 1;

/// A call that waits for the agent.
#[derive(Debug)]
pub(super) struct Stopped {
    id: u64,
    /// The thread, whose number is 0 if it is in no PID namespace of ours.
    pub(super) thread: i32,
    /// The number of the call.
    pub(super) nr: i64,
    /// Its arguments.
    pub(super) args: [u64; 6],
}

/// Takes the next stopped call. An error also says that it went away before it was taken.
pub(super) fn next(listener: &OwnedFd) -> io::Result<Stopped> {
    let mut one = Notification::default();
    // SAFETY: the kernel fills the structure, whose size the number of the call has.
    if unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, &raw mut one) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Stopped {
        id: one.id,
        thread: one.pid.cast_signed(),
        nr: i64::from(one.nr),
        args: one.args,
    })
}

impl Stopped {
    /// Lets the call go on as it is. Whether it was still there.
    pub(super) fn go_on(&self, listener: &OwnedFd) -> bool {
        let mut response = Response {
            id: self.id,
            value: 0,
            error: 0,
            flags: CONTINUE,
        };
        // SAFETY: as above; the kernel reads it.
        unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut response) == 0 }
    }
}

/// The process of a thread.
#[derive(Debug)]
pub(super) struct Process {
    thread: i32,
    /// The number of its first thread, which stands for the process.
    pub(super) id: i32,
    descriptor: Option<OwnedFd>,
    /// What was duplicated of it, by its own numbers.
    copies: BTreeMap<RawFd, OwnedFd>,
}

impl Process {
    pub(super) fn of(thread: i32) -> Self {
        let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
        let id = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        let id = id.and_then(|id| id.trim().parse().ok()).unwrap_or(thread);
        // SAFETY: it takes two numbers; the new descriptor is ours alone.
        let descriptor = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, id, 0);
            let fd = RawFd::try_from(fd).unwrap_or(-1);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        };
        Self {
            thread,
            id,
            descriptor,
            copies: BTreeMap::new(),
        }
    }

    /// Bytes of its memory; fewer where the memory ends.
    pub(super) fn read(&self, address: u64, length: usize) -> Vec<u8> {
        Self::memory(self.thread, address, length)
    }

    /// Bytes of the memory of a thread; fewer where the memory ends.
    pub(super) fn memory(thread: i32, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0_u8; length];
        let ours = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: length,
        };
        let theirs = libc::iovec {
            iov_base: usize::try_from(address).unwrap_or(0) as *mut libc::c_void,
            iov_len: length,
        };
        // SAFETY: at most `length` bytes are written to `bytes`; the other address is not ours, and is
        // checked by the kernel.
        let read =
            unsafe { libc::process_vm_readv(thread, &raw const ours, 1, &raw const theirs, 1, 0) };
        bytes.truncate(usize::try_from(read).unwrap_or(0));
        bytes
    }

    /// A string of its memory, of at most this many bytes.
    pub(super) fn string(&self, address: u64, most: usize) -> Option<String> {
        const PAGE: u64 = 4096;
        let mut found = Vec::new();
        let mut at = address;
        // A string may end right before memory that is not there.
        while address != 0 && found.len() < most {
            let room = usize::try_from(PAGE - at % PAGE).unwrap_or(most);
            let bytes = self.read(at, room.min(most - found.len()));
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                found.extend_from_slice(&bytes[..end]);
                return Some(String::from_utf8_lossy(&found).into_owned());
            }
            if bytes.is_empty() {
                return None;
            }
            at += bytes.len() as u64;
            found.extend(bytes);
        }
        None
    }

    /// A duplicate of one of its descriptors (`pidfd_getfd`, mainline 5.6).
    pub(super) fn duplicate(&self, fd: RawFd) -> Option<OwnedFd> {
        let process = self.descriptor.as_ref()?.as_raw_fd();
        // SAFETY: it takes numbers; the new descriptor is ours alone.
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_getfd, process, fd, 0);
            let fd = RawFd::try_from(fd).unwrap_or(-1);
            (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
        }
    }

    /// The number of a duplicate that lives as long as `self`.
    pub(super) fn borrow(&mut self, fd: RawFd) -> Option<RawFd> {
        if !self.copies.contains_key(&fd) {
            let copy = self.duplicate(fd)?;
            self.copies.insert(fd, copy);
        }
        self.copies.get(&fd).map(AsRawFd::as_raw_fd)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Process;

    fn own() -> Process {
        Process::of(i32::try_from(std::process::id()).unwrap())
    }

    #[test]
    fn memory_and_strings_are_read() {
        let text = c"kprobe/do_unlinkat";
        let address = text.as_ptr() as u64;
        assert_eq!(own().read(address, 6), b"kprobe");
        let read = own().string(address, 100);
        assert_eq!(read.as_deref(), Some("kprobe/do_unlinkat"));
        assert_eq!(own().string(address, 3), None, "its end is not there");
        assert_eq!(own().string(0, 3), None);
        assert!(own().read(8, 8).is_empty());
    }

    #[test]
    fn a_duplicate_is_the_same_file() {
        use std::io::Read;
        use std::os::fd::AsRawFd;

        let (mut reader, writer) = std::io::pipe().unwrap();
        let process = own();
        // Kernels before 5.6 cannot.
        let Some(copy) = process.duplicate(writer.as_raw_fd()) else {
            return;
        };
        drop(writer);
        std::fs::File::from(copy).write_all(b"x").unwrap();
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
    }
}
