//! Probes the eBPF features of a kernel in one boot, and caches the result.
//!
//! A kernel and an agent go in, and [`KernelFeatures`] come out. The result depends on the kernel's
//! files, its arguments, the agent and how the guest is run, and is cached under the digest of
//! these.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ukci_schema::cell::Cell;
use ukci_schema::features::{KernelFeatures, SCHEMA};
use ukci_schema::plan::{FileRef, PlannedKernel};
use ukci_schema::verdict::{Fault, Stage};

use crate::atomic_file;
use crate::catalogue::digest::Hasher;
use crate::conversation::{self, Answer, GuestRequest};
use crate::machine::{Boot, Hardware, Machine};
use crate::scratch::Scratch;

/// Guest memory in MiB: every map type is made once.
const MEMORY: u32 = 512;

/// Which kernel is asked, and with what.
#[derive(Debug)]
pub struct Probe<'a> {
    /// The kernel.
    pub kernel: &'a PlannedKernel,
    /// The agent, of which the initramfs is made.
    pub agent: &'a FileRef,
    /// Agent and kernel segment in one file.
    pub initramfs: PathBuf,
    /// Longest time from boot to answer, on bare hardware.
    pub timeout: Duration,
}

impl Probe<'_> {
    /// Where the answer is kept below the cache directory.
    fn path(&self, cache: &Path, hardware: &Hardware) -> PathBuf {
        let kernel = self.kernel;
        let mut key = Hasher::default();
        for field in [
            SCHEMA,
            &kernel.name,
            &kernel.image.sha256,
            &kernel.segment.sha256,
            &self.agent.sha256,
            &hardware.accel,
            &hardware.cpu,
        ] {
            key.field(field.as_bytes());
        }
        for argument in &kernel.cmdline {
            key.field(argument.as_bytes());
        }
        cache
            .join("features")
            .join(format!("{}.json", key.finish()))
    }
}

/// The answer that is kept below `cache`; else asks the kernel and keeps what it answers. An answer
/// that cannot be read back is replaced.
pub async fn of<M: Machine>(
    machine: &M,
    probe: &Probe<'_>,
    cache: &Path,
) -> Result<KernelFeatures, Fault> {
    let hardware = machine.hardware(probe.kernel);
    let path = probe.path(cache, &hardware);
    let kept = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice::<KernelFeatures>(&text).ok())
        .filter(|kept| kept.kernel == probe.kernel.name);
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let dir = cache.join("features");
    std::fs::create_dir_all(&dir).map_err(|error| unwritable(&dir, &error))?;
    let evidence = Scratch::create().map_err(|error| unwritable(&std::env::temp_dir(), &error))?;
    let answer = ask(machine, probe, evidence.path()).await?;
    serde_json::to_vec(&answer)
        .map_err(io::Error::from)
        .and_then(|text| atomic_file::write(&path, &[&text]))
        .map_err(|error| unwritable(&path, &error))?;
    Ok(answer)
}

/// Boots the kernel and asks it. `evidence` is an existing directory for the console and QEMU's
/// output.
pub async fn ask<M: Machine>(
    machine: &M,
    probe: &Probe<'_>,
    evidence: &Path,
) -> Result<KernelFeatures, Fault> {
    let kernel = probe.kernel;
    let cell = Cell {
        artifact: "features".into(),
        kernel: kernel.name.clone(),
        llvm: None,
        arch: kernel.arch,
        btf: None,
    };
    let boot = Boot {
        memory: MEMORY,
        ..Boot::of(kernel, cell, probe.initramfs.clone(), evidence.to_owned())
    };
    let limit = probe.timeout * machine.slowness();
    let result = conversation::hold(machine, boot, GuestRequest::Features, limit, &|_| {}).await;
    if let Some(fault) = result.fault {
        return Err(fault);
    }
    match result.answer {
        Some(Answer::Features(mut features)) if features.schema == SCHEMA => {
            features.kernel.clone_from(&kernel.name);
            features.date();
            Ok(*features)
        }
        Some(Answer::Features(features)) => {
            let theirs = &features.schema;
            let headline =
                format!("the agent answers in `{theirs}`, and this ukci reads `{SCHEMA}`");
            Err(Fault {
                hints: vec!["build the agent and ukci from one tree with `make agent`".into()],
                ..Fault::at(Stage::Connect, headline)
            })
        }
        _ => Err(Fault::at(Stage::Connect, "the agent gave no answer")),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    let headline = format!("failed to write `{}`: {error}", path.display());
    Fault::at(Stage::Boot, headline)
}
