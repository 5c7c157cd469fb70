//! Reads what programs print with `bpf_printk`.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

/// Most bytes that are taken: what is over the limit of the evidence is counted, but not for ever.
const LIMIT: usize = 4 * 1024 * 1024;

/// `trace_pipe`, from the time on at which it was opened.
pub(super) struct Trace {
    pipe: File,
    taken: Vec<u8>,
}

impl Trace {
    /// Clears the kernel's trace buffer and opens it.
    pub(super) fn open() -> Result<Self, String> {
        let dir = "/sys/kernel/tracing";
        let failed = |what: &str, error: std::io::Error| format!("{what} {dir}: {error}");
        // That it is opened for writing from its beginning clears it.
        fs::write(format!("{dir}/trace"), "")
            .map_err(|error| failed("clear the trace in", error))?;
        let pipe = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(format!("{dir}/trace_pipe"))
            .map_err(|error| failed("open the trace_pipe in", error))?;
        Ok(Self {
            pipe,
            taken: Vec::new(),
        })
    }

    /// Takes what there is.
    pub(super) fn take(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while self.taken.len() < LIMIT {
            match self.pipe.read(&mut buffer) {
                Ok(length) if length > 0 => self.taken.extend_from_slice(&buffer[..length]),
                _ => break,
            }
        }
    }

    /// All that was taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.taken
    }
}
