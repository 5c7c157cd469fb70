//! Boots a cell's machine for a person: the kernel, command line, modules and CPU are those of the
//! cell. It has a shell on the console instead of the conversation, and the artifact in its file
//! system.

use std::path::{Path, PathBuf};

use tokio::sync::watch;
use ukci_schema::command::{CommandFile, Content, WindowSize};
use ukci_schema::plan::{Kept, Plan};
use ukci_schema::shell::{
    BUSYBOX, CELL, COMMAND, DONE, FILES, HOST_ROOT, NETWORK, REQUEST, ROOT, SENT, module, object,
};

use crate::cell::Inputs;
use crate::console::CONSOLE_LOG;
use crate::cpio::Archive;
use crate::machine::qemu::Qemu;
use crate::machine::{self, Userland};
use crate::prepare::{self, Prepared};
use crate::run::Options;
use crate::waited_for::WaitedFor;

/// The shell that is wanted, and the terminal it is for.
#[derive(Clone, Debug)]
pub struct Shell {
    /// A static busybox of the cell's architecture.
    pub busybox: Vec<u8>,
    /// What the guest has beside memory and CPUs.
    pub userland: Userland,
    /// Further files, and the bytes of each by their digests.
    pub files: (Vec<CommandFile>, Kept),
    /// What to run in place of an interactive shell.
    pub command: Option<String>,
    /// The size of the terminal's window, as it changes.
    pub window: watch::Receiver<WindowSize>,
    /// What `$TERM` says of it.
    pub term: String,
}

/// Why there is no shell.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan has no cell.
    #[error("the plan has no cell")]
    NoCell,
    /// The cell's files could not be read.
    #[error(transparent)]
    Prepare(#[from] prepare::Error),
    /// The compiler made no object of the source.
    #[error("the artifact does not compile: {0}")]
    Refused(String),
    /// A file for the guest could not be made.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// QEMU could not be run.
    #[error(transparent)]
    Machine(#[from] machine::Error),
    /// The machine ended before its shell did.
    #[error("QEMU {0} before the console showed the exit status of the shell")]
    Lost(String),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Machine(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            _ => None,
        }
    }
}

/// Boots the first cell of the plan and waits until its shell ends, or Ctrl-A X ends the machine.
/// Standard input and output are the guest's console meanwhile. Returns the exit status of the
/// command; none of an interactive shell that was killed.
///
/// `options.out`, which exists, takes what the guest boots from and the console's log.
pub async fn run(
    plan: &Plan,
    machine: &Qemu,
    options: &Options,
    shell: &Shell,
) -> Result<Option<u8>, Error> {
    let Prepared {
        mut cells,
        mut files,
        ..
    } = Prepared::of(plan, options, &WaitedFor::nothing())?;
    let (_, inputs) = cells.first_mut().ok_or(Error::NoCell)?;
    if let Some(refusal) = &inputs.refused {
        return Err(Error::Refused(refusal.diagnosis.headline.clone()));
    }
    files.assemble_with(inputs, &shell.userland)?;
    let initramfs = options.out.join("initramfs.cpio");
    let written = initramfs_of(inputs, shell).and_then(|bytes| std::fs::write(&initramfs, bytes));
    written.map_err(|source| Error::Write {
        path: initramfs.clone(),
        source,
    })?;
    // Its files are in its memory twice while it unpacks them.
    let sent = shell.files.0.iter().map(|file| match &file.content {
        Content::Bytes { size, .. } => *size,
        Content::Link { .. } => 0,
    });
    let sent = u32::try_from(sent.sum::<u64>() >> 20).unwrap_or(u32::MAX / 8);
    let memory = inputs.planned.memory.max(MEMORY) + 3 * sent;
    let mut boot = inputs.boot(memory, options.out.clone());
    boot.initramfs = initramfs;
    boot.userland = shell.userland.clone();
    let WindowSize { columns, rows } = *shell.window.borrow();
    let argument = format!("ukci.shell={columns}x{rows},{}", shell.term);
    boot.cmdline.push(argument);
    let ended = machine
        .boot_on_terminal(&boot, shell.window.clone())
        .await?;
    let status = status(&options.out.join(CONSOLE_LOG));
    match (status, &shell.command) {
        (None, Some(_)) => Err(Error::Lost(ended)),
        (status, _) => Ok(status),
    }
}

/// Least memory of a machine with a shell, in MiB.
const MEMORY: u32 = 256;

/// The cell's own initramfs, and what the shell needs over it.
fn initramfs_of(inputs: &Inputs, shell: &Shell) -> std::io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    let mut file = |path: &str, bytes: Vec<u8>, executable| {
        archive.file(path.trim_start_matches('/'), bytes, executable);
    };
    let request = inputs.request(inputs.timeout);
    file(BUSYBOX, shell.busybox.clone(), true);
    file(REQUEST, serde_json::to_vec_pretty(&request)?, false);
    file(&object(&request.name), inputs.object.to_vec(), false);
    for (n, bytes) in inputs.files.iter().enumerate() {
        file(&format!("{FILES}/{n}"), bytes.to_vec(), false);
    }
    for (name, bytes) in &inputs.modules {
        file(&module(name), bytes.to_vec(), false);
    }
    if !shell.userland.network.is_none() {
        file(NETWORK, Vec::new(), false);
    }
    if shell.userland.root.is_some() {
        file(ROOT, Vec::new(), false);
    }
    if shell.userland.host_root {
        file(HOST_ROOT, Vec::new(), false);
    }
    if let Some(command) = &shell.command {
        file(COMMAND, command.clone().into_bytes(), false);
    }
    archive.directory(CELL.trim_start_matches('/'));
    let (files, kept) = &shell.files;
    for CommandFile { path, content } in files {
        let path = format!("{}{path}", SENT.trim_start_matches('/'));
        match content {
            Content::Link { target } => archive.link(&path, target.clone()),
            Content::Bytes { sha256, mode, .. } => {
                let bytes = kept.get(sha256).map_or(&[][..], |bytes| bytes);
                archive.file(&path, bytes.to_vec(), mode & 0o111 != 0);
            }
        }
    }
    let mut bytes = std::fs::read(&inputs.initramfs)?;
    bytes.append(&mut archive.finish());
    Ok(bytes)
}

/// The status that the agent wrote as its last line.
fn status(console: &Path) -> Option<u8> {
    let text = std::fs::read(console).ok()?;
    let text = String::from_utf8_lossy(&text);
    let (_, status) = text.rsplit_once(DONE)?;
    status.lines().next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_last_that_the_console_tells() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        assert_eq!(status(&log), None);
        std::fs::write(&log, "boot\r\n").unwrap();
        assert_eq!(status(&log), None);
        let said = format!("cat: {DONE}9?\r\n\r\n{DONE}3\r\n[    1.0] reboot: Power down\r\n");
        std::fs::write(&log, said).unwrap();
        assert_eq!(status(&log), Some(3));
    }
}
