//! Everything that happened in a run. `report.json` is a stable interface, and all other formats
//! are rendered from it.

mod program;
mod test;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::budget::Budget;
use crate::cell::{Arch, Cell};
use crate::command::Ended;
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{AttachOutcome, MapEvidence};
use crate::plan::Shard;
use crate::userland::{Network, Root};
use crate::verdict::{Expectation, Fault, Outcome, Stage, VerdictKind};

pub use crate::stage::StageTime;
pub use program::ProgramReport;
pub use test::{CheckReport, TestOutcome, TestReport};

/// Version of the report's shape.
pub const SCHEMA: &str = "ukci.report/1";

/// A run and its cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run.
    pub run: RunInfo,
    /// What was tested.
    pub artifacts: Vec<Artifact>,
    /// The kernels that cells ran on, by [`kernel_key`](crate::cell::kernel_key): digests of what
    /// was booted.
    pub kernels: BTreeMap<String, KernelInfo>,
    /// One entry per cell, in the order of the plan.
    pub cells: Vec<CellReport>,
    /// Ids of the cells that were planned but did not run, because the run was interrupted or because
    /// a shard is missing among the reports that were merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<String>,
    /// The counts.
    pub summary: Summary,
}

/// What holds for every cell of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RunInfo {
    /// Version of `ukci`.
    pub ukci: String,
    /// Name of the matrix.
    pub matrix: String,
    /// Start, UTC, RFC 3339.
    pub started: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Machines at once.
    pub jobs: usize,
    /// `QEMU emulator version …` by architecture.
    pub qemu: BTreeMap<Arch, String>,
    /// The accelerator that was chosen, and why.
    pub accel: Choice,
    /// The transport that was chosen, and why.
    pub transport: Choice,
    /// How QEMU was confined: `full` or `partial`, and what held. Older reports lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Choice>,
    /// SHA-256 of the agent by architecture.
    pub agents: BTreeMap<Arch, String>,
    /// The first line of each compiler's `--version`, by the major version of its LLVM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub toolchains: BTreeMap<String, String>,
    /// Whether every byte came from the lock or the store.
    pub hermetic: bool,
    /// True if the run was interrupted. All cells that finished are in the report.
    pub interrupted: bool,
    /// What went not quite as asked.
    pub warnings: Vec<String>,
    /// The options of the run, as far as a cell's verdict may depend on it.
    #[serde(default)]
    pub asked: Asked,
    /// What a program may cost the verifier.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub budget: Budget,
    /// Which shard of a larger plan was run, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// The command-line options that are needed to run a cell again in the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Asked {
    /// Options for every cell, such as `--mode`, `load`.
    pub options: Vec<String>,
    /// By the name of a user kernel, the options that select it: its path and its modules.
    pub kernels: BTreeMap<String, Vec<String>>,
    /// By the name of an artifact that was found inside a program: the program's path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub embedded: BTreeMap<String, String>,
    /// With `ukci exec`: the options that describe the command, and its words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// Something that was chosen, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Choice {
    /// `kvm` or `tcg`; `vhost-vsock`, `vhost-user-vsock`, `virtio-serial` or `serial`; `full` or `partial`.
    pub name: String,
    /// One sentence.
    pub why: String,
}

/// What a kernel was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct KernelInfo {
    /// `uname -r` of the lock.
    pub release: String,
    /// SHA-256 of the image that QEMU booted.
    pub image: String,
    /// SHA-256 of its initramfs segment.
    pub segment: String,
    /// SHA-256 of its packages by name.
    pub packages: BTreeMap<String, String>,
    /// False if a file did not come from the lock, such as a user kernel.
    pub hermetic: bool,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct CellReport {
    /// [`Cell::id`].
    pub id: String,
    /// Name of the artifact.
    pub artifact: String,
    /// Name of the kernel.
    pub kernel: String,
    /// `uname -r` as the guest said it; as the lock says it where no guest spoke.
    pub release: String,
    /// Architecture.
    pub arch: Arch,
    /// Major version of the LLVM. An object that is already compiled has none.
    pub llvm: Option<String>,
    /// `kvm` or `tcg`.
    pub accel: String,
    /// QEMU's `-cpu`.
    pub cpu: String,
    /// The transport that was used.
    pub transport: String,
    /// How the guest started in which the verdict was found.
    #[serde(default)]
    pub start: Start,
    /// Whether every byte came from the lock or the store. A guest with a network is never hermetic.
    pub hermetic: bool,
    /// How the guest reached networks.
    #[serde(default, skip_serializing_if = "Network::is_none")]
    pub network: Network,
    /// The root file system in which the command ran, if it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Whether the command ran in the root file system of this host, which it could not change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host_root: bool,
    /// The BTF of a file that CO-RE used instead of the kernel's own, if the command line named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf: Option<ExternalBtf>,
    /// Guest memory in MiB.
    pub memory: u32,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Wall time in seconds.
    pub seconds: f64,
    /// CPU time of QEMU and its vsock device in seconds.
    pub cpu_seconds: f64,
    /// What each stage of the last boot took, in order. What is missing from `seconds` is what
    /// earlier boots, shutting down and saving the evidence took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageTime>,
    /// Peak resident memory of QEMU in KiB.
    pub peak_kib: u64,
    /// How often the cell was booted. It is 2 if the cell was booted again, and 0 if its evidence came
    /// from the cache or if nothing had to be booted.
    pub boots: u32,
    /// Only the verdict.
    pub verdict: VerdictKind,
    /// The verdict compared with the expectation.
    pub outcome: Outcome,
    /// What the matrix says.
    pub expected: Expectation,
    /// Whether it decides the exit status.
    pub required: bool,
    /// The last stage that was reached.
    pub stage: Stage,
    /// Why, with `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// Why, with `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Why, with `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of libbpf that loaded it.
    pub libbpf: String,
    /// How the command ended, where the cell is of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandReport>,
    /// One entry per program.
    pub programs: Vec<ProgramReport>,
    /// One entry per test of the manifest, if they were run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestReport>,
    /// One entry per map.
    pub maps: Vec<MapEvidence>,
    /// Changes made to the object or the guest before the load that decides the verdict.
    pub edits: Vec<String>,
    /// What was noticed and did not decide the verdict, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Directory of the cell's evidence, relative to the directory of the report.
    pub evidence: String,
    /// SHA-256 of the evidence in its [canonical](crate::canonical) form: two boots with the same
    /// observations have the same digest. Absent if there is no evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_digest: Option<String>,
    /// The run that booted the cell, if this one did not: its evidence came from the cache, and was
    /// judged again. `seconds` and `cpu_seconds` of the cell are then of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<CachedFrom>,
}

/// The run whose evidence of a cell was judged again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct CachedFrom {
    /// Its start, UTC, RFC 3339.
    pub started: String,
    /// The version of `ukci` that ran it.
    pub ukci: String,
    /// The name of its host.
    pub host: String,
    /// What the cell cost then: wall time in seconds.
    pub seconds: f64,
    /// CPU time of QEMU and its vsock device then, in seconds.
    pub cpu_seconds: f64,
}

impl CellReport {
    /// The code of its diagnosis or its fault.
    pub fn code(&self) -> Option<Code> {
        let diagnosis = self.diagnosis.as_ref().map(|diagnosis| diagnosis.code);
        diagnosis.or_else(|| self.fault.as_ref().and_then(|fault| fault.code))
    }

    /// File name of the external BTF, if there is one.
    pub fn btf_name(&self) -> Option<&str> {
        self.btf.as_ref().map(|btf| btf.name.as_str())
    }

    /// The cell it is of.
    pub fn cell(&self) -> Cell {
        Cell {
            artifact: self.artifact.clone(),
            kernel: self.kernel.clone(),
            llvm: self.llvm.clone(),
            arch: self.arch,
            btf: self.btf_name().map(str::to_owned),
        }
    }
}

/// A file with the BTF of a kernel, from outside of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ExternalBtf {
    /// Its file name.
    pub name: String,
    /// SHA-256 of the BTF in it.
    pub sha256: String,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct CommandReport {
    /// How it ended.
    pub ended: Ended,
    /// Bytes of its standard output.
    pub stdout_bytes: u64,
    /// Bytes of its standard error.
    pub stderr_bytes: u64,
    /// Processes that it left running, which were then killed.
    #[serde(default)]
    pub left_running: u32,
    /// The files that came back from the guest, below `out/` in the cell's directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,
    /// Files that did not come back from the guest, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_refused: Vec<String>,
}

/// How a guest started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Start {
    /// It booted its kernel.
    #[default]
    Cold,
    /// It is a copy of a guest that booted before and was saved.
    Warm,
    /// None did: the evidence is that of an earlier run.
    Cached,
}

/// How many cells ended in each way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Cells that ran.
    pub cells: usize,
    /// [`Outcome::Pass`].
    pub pass: usize,
    /// [`Outcome::Fail`].
    pub fail: usize,
    /// [`Outcome::Xfail`].
    pub xfail: usize,
    /// [`Outcome::Xpass`].
    pub xpass: usize,
    /// [`Outcome::Error`].
    pub error: usize,
    /// [`Outcome::Skip`].
    pub skip: usize,
    /// Cells that the matrix excluded.
    pub excluded: usize,
    /// Cells that were planned but did not run: [`Report::not_run`].
    pub not_run: usize,
    /// Programs that were [not tried](ProgramReport::is_untried), over all cells.
    pub programs_not_attempted: usize,
    /// Programs that were attached, over all cells.
    #[serde(default)]
    pub programs_attached: usize,
    /// Programs that were attached and that nothing [made fire](ProgramReport::never_fired), over
    /// all cells.
    #[serde(default)]
    pub programs_never_fired: usize,
}

impl Summary {
    /// Counts `cells`.
    pub fn of(cells: &[CellReport], excluded: usize, not_run: usize) -> Self {
        let count = |outcome| cells.iter().filter(|cell| cell.outcome == outcome).count();
        let programs = |counts: &dyn Fn(&ProgramReport) -> bool| {
            let all = cells.iter().flat_map(|cell| &cell.programs);
            all.filter(|program| counts(program)).count()
        };
        Self {
            cells: cells.len(),
            pass: count(Outcome::Pass),
            fail: count(Outcome::Fail),
            xfail: count(Outcome::Xfail),
            xpass: count(Outcome::Xpass),
            error: count(Outcome::Error),
            skip: count(Outcome::Skip),
            excluded,
            not_run,
            programs_not_attempted: programs(&ProgramReport::is_untried),
            programs_attached: programs(&|program| program.attach == AttachOutcome::Attached),
            programs_never_fired: programs(&ProgramReport::never_fired),
        }
    }
}
