//! Finds the QEMU of this host and whether KVM works, for cells and for `kernels features`.

use std::path::Path;

use ukci_harness::machine::Boot;
use ukci_harness::machine::qemu::{Qemu, Settings};
use ukci_harness::scratch::Scratch;
use ukci_harness::{catalogue, initramfs};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::plan::{FileRef, PlannedKernel};

use crate::diagnostic::Failure;
use crate::exit::Exit;

/// A kernel that can be booted to see whether KVM works.
pub(crate) struct Trial<'a> {
    pub(crate) cell: Cell,
    pub(crate) kernel: &'a PlannedKernel,
    pub(crate) agent: &'a FileRef,
    pub(crate) memory: u32,
}

/// Finds QEMU for these architectures. If KVM is there and nobody remembers whether it works, the
/// first trial of the host's own architecture is booted.
pub(crate) async fn qemu<'a>(
    accel: crate::args::Accel,
    transport: crate::args::Transport,
    arches: impl IntoIterator<Item = Arch>,
    trials: impl IntoIterator<Item = Trial<'a>>,
) -> Result<Qemu, Failure> {
    let mut arches: Vec<Arch> = arches.into_iter().collect();
    arches.sort_unstable();
    arches.dedup();
    let settings = Settings {
        accel: accel.chosen(),
        transport: transport.chosen(),
        arches,
        cache: catalogue::cache_dir(),
    };
    let scratch = Scratch::create().ok();
    let boot = scratch.as_ref().and_then(|dir| boot(trials, dir.path()));
    Qemu::detect(settings, boot)
        .await
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

fn boot<'a>(trials: impl IntoIterator<Item = Trial<'a>>, dir: &Path) -> Option<Boot> {
    let mut trials = trials.into_iter();
    let trial = trials.find(|trial| trial.cell.arch.name() == std::env::consts::ARCH)?;
    let segment = &trial.kernel.segment;
    let initramfs = initramfs::assemble(&catalogue::cache_dir(), trial.agent, segment).ok()?;
    Some(Boot {
        cmdline: Vec::new(),
        memory: trial.memory,
        ..Boot::of(trial.kernel, trial.cell, initramfs, dir.to_owned())
    })
}
