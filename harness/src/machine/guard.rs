//! The end of a process group whose leader is a script, when we are killed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Pid;

/// Whether a shell or the like runs this file. Then the process that we start is not the program.
pub(super) fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

/// Kills a process group when we are gone, however we went. The parent-death signal reaches only the
/// process that we started: what a script started in turn would be left running.
#[derive(Debug)]
pub(super) struct Guard {
    /// Closed by the kernel when we die, which is what the process waits for.
    alive: Option<io::PipeWriter>,
    process: std::process::Child,
}

impl Guard {
    pub(super) fn of(group: Pid) -> io::Result<Self> {
        let (watched, alive) = io::pipe()?;
        let process = Command::new("/bin/sh")
            .args(["-c", "read _; kill -s KILL -- \"-$0\""])
            .arg(group.as_raw_nonzero().to_string())
            .env_clear()
            .process_group(0)
            .stdin(watched)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            alive: Some(alive),
            process,
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if it is gone already. It must not see the pipe's end before.
        let _ = self.process.kill();
        let _ = self.process.wait();
        drop(self.alive.take());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_group_that_a_script_leads_does_not_outlive_us() {
        let mut script = tempfile::NamedTempFile::new().unwrap();
        script.write_all(b"#!/bin/sh\n").unwrap();
        assert!(is_script(script.path()) && !is_script(Path::new("/proc/self/exe")));
        let (mut end, held) = io::pipe().unwrap();
        let mut leader = Command::new("/bin/sh")
            .args(["-c", "sleep 600 & wait"])
            .process_group(0)
            .stdout(held)
            .spawn()
            .unwrap();
        let group = Pid::from_raw(leader.id().cast_signed()).unwrap();
        let mut guard = Guard::of(group).unwrap();
        // As the kernel does when we are killed.
        drop(guard.alive.take());
        guard.process.wait().unwrap();
        assert_eq!(leader.wait().unwrap().signal(), Some(9));
        // Ends when nobody of the group has the pipe any more.
        assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
    }
}
