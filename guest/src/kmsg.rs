//! Collects the kernel's warnings during a cell, and what the agent was doing when each appeared.
//!
//! The output is the text of records at level warning or worse that appeared after the cell began.
//! The console shows them too, but mixed with those of the boot, and a virtual serial line can lose
//! some.

use std::fs;
use std::io::Read;

use rustix::fs::{SeekFrom, seek};
use ukci_schema::evidence::KmsgMark;
use ukci_schema::verdict::Stage;

/// Most lines kept.
const LIMIT: usize = 200;

/// Follows the kernel's log from one place on.
#[derive(Debug)]
pub struct Recorder {
    kmsg: Option<fs::File>,
    doing: (Stage, String),
    recorded: Recorded,
}

/// What the kernel said.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The records of level warning (4) or worse.
    pub lines: Vec<String>,
    /// What the agent was doing when they came.
    pub marks: Vec<KmsgMark>,
}

/// What the kernel says when it kills a process for its memory (`mm/oom_kill.c`).
pub const OUT_OF_MEMORY: &str = "Out of memory: Killed process";

impl Recorded {
    /// The line that tells best why a process ended: that it was killed for its memory, else the
    /// newest.
    pub fn telling(&self) -> Option<&str> {
        let killed = (self.lines.iter()).find(|line| line.contains(OUT_OF_MEMORY));
        killed.or(self.lines.last()).map(String::as_str)
    }
}

impl Recorder {
    /// From the present end of the log `kmsg` on: nothing of the boot's is the cell's.
    pub fn from_now(kmsg: Option<fs::File>, stage: Stage, doing: &str) -> Self {
        if let Some(kmsg) = &kmsg {
            let _ = seek(kmsg, SeekFrom::End(0));
        }
        Self {
            kmsg,
            doing: (stage, doing.to_owned()),
            recorded: Recorded::default(),
        }
    }

    /// Something else is done from now on. What the kernel said until now came of what was done
    /// before.
    pub fn begin(&mut self, stage: Stage, doing: &str) {
        self.drain();
        self.doing = (stage, doing.to_owned());
    }

    /// All that was said.
    pub fn finish(mut self) -> Recorded {
        self.drain();
        self.recorded
    }

    fn drain(&mut self) {
        let Some(kmsg) = &mut self.kmsg else { return };
        let Recorded { lines, marks } = &mut self.recorded;
        let line = lines.len();
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
        if lines.len() > line {
            let (stage, doing) = self.doing.clone();
            marks.push(KmsgMark { line, stage, doing });
        }
    }
}

/// The text of a record `level,sequence,time,flags;text`, if it warns.
pub(crate) fn warning(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (prefix, text) = record.split_once(';')?;
    let level: u32 = prefix.split(',').next()?.parse().ok()?;
    // The lower three bits are the level, the rest the facility; only the kernel's (0) counts.
    (level <= 4).then(|| text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Recorded, warning};

    #[test]
    fn that_a_process_was_killed_for_its_memory_tells_more_than_what_follows() {
        let of = |lines: &[&str]| Recorded {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Recorded::default()
        };
        let killed = "Out of memory: Killed process 91 (init) total-vm:1kB";
        assert_eq!(of(&["first", killed, "last"]).telling(), Some(killed));
        assert_eq!(of(&["first", "last"]).telling(), Some("last"));
        assert_eq!(of(&[]).telling(), None);
    }

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
