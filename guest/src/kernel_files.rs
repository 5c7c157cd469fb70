//! The kernel's files that every cell needs, opened and not yet read: a guest that is saved has them
//! open, so that its copies spend no time on looking for them.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

/// What could be opened of them.
#[derive(Debug)]
pub struct KernelFiles {
    /// Takes entropy.
    pub random: Option<File>,
    /// Says the boot id, which the kernel draws when it is read.
    pub boot_id: Option<File>,
    /// Has the kernel's log. Reading never waits.
    pub log: Option<File>,
}

impl KernelFiles {
    /// Opens them.
    pub fn open() -> Self {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let log = File::options()
            .read(true)
            .custom_flags(nonblocking)
            .open("/dev/kmsg");
        Self {
            random: File::open("/dev/random").ok(),
            boot_id: File::open("/proc/sys/kernel/random/boot_id").ok(),
            log: log.ok(),
        }
    }
}
