//! The initramfs: newc archives written in process.
//!
//! The base segment holds the agent and is the same for every kernel; the kernel's segment holds
//! its modules and configuration. The kernel unpacks concatenated archives one over the other.

use std::path::PathBuf;

use ukci_schema::plan::FileRef;

/// The agent's segment and the kernel's in one file below `cache`, made once and found again by
/// their digests.
pub fn assemble(
    cache: &std::path::Path,
    agent: &FileRef,
    segment: &FileRef,
) -> std::io::Result<PathBuf> {
    let _ = (cache, agent, segment);
    Err(std::io::ErrorKind::Unsupported.into())
}
