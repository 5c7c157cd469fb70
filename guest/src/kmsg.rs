//! The kernel's warnings during a cell. With `quiet` a warning never reaches the console.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{SeekFrom, seek};

/// Most lines kept.
const LIMIT: usize = 200;

/// A place in the kernel's log.
pub(crate) struct Warnings {
    kmsg: Option<fs::File>,
}

impl Warnings {
    /// From the log's present end on.
    pub(crate) fn from_now() -> Self {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let kmsg = fs::File::options()
            .read(true)
            .custom_flags(nonblocking)
            .open("/dev/kmsg")
            .ok();
        if let Some(kmsg) = &kmsg {
            let _ = seek(kmsg, SeekFrom::End(0));
        }
        Self { kmsg }
    }

    /// The records of level warning (4) or worse since then.
    pub(crate) fn collect(self) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(mut kmsg) = self.kmsg else {
            return lines;
        };
        // One read is one record.
        let mut record = [0; 8192];
        while lines.len() < LIMIT {
            match kmsg.read(&mut record) {
                Ok(length) if length > 0 => lines.extend(warning(&record[..length])),
                // Records were overwritten before they were read; the next read goes on.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                _ => break,
            }
        }
        lines
    }
}

/// The text of a record `level,sequence,time,flags;text`, if it warns.
fn warning(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (prefix, text) = record.split_once(';')?;
    let level: u32 = prefix.split(',').next()?.parse().ok()?;
    // The lower three bits are the level, the rest the facility; only the kernel's (0) counts.
    (level <= 4).then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn only_the_kernels_warnings_count() {
        assert_eq!(
            warning(b"4,12,99,-;careful\n SUB=x\n").as_deref(),
            Some("careful")
        );
        assert_eq!(warning(b"6,12,99,-;fine\n"), None);
        assert_eq!(warning(b"12,12,99,-;a user's\n"), None);
        assert_eq!(warning(b"nonsense"), None);
    }
}
