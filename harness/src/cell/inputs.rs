//! The inputs of a cell, and what is derived from them: the boot, the request, and the file that
//! lists the inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use serde::Serialize;
use ukci_schema::budget::Budget;
use ukci_schema::command::{Command, CommandRequest};
use ukci_schema::contract::Contract;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::Mode;
use ukci_schema::message::{ModuleFile, Request};
use ukci_schema::plan::{PlannedArtifact, PlannedCell, PlannedKernel};
use ukci_schema::report::ExternalBtf;
use ukci_schema::userland::Network;

use crate::catalogue::digest;
use crate::command::Stdin;
use crate::evidence_dir;
use crate::machine::{Boot, RootDisk, Userland};
use crate::needed_modules::NamedModule;

/// What a compiler said of a source that it refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) diagnosis: Diagnosis,
    /// Everything that it printed.
    pub(crate) log: String,
}

/// What a cell is run with.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) planned: PlannedCell,
    pub(crate) kernel: Arc<PlannedKernel>,
    pub(crate) artifact: Arc<PlannedArtifact>,
    pub(crate) object: Arc<[u8]>,
    /// The digest of the object.
    pub(crate) object_sha256: Arc<str>,
    /// The files of the cell's contract, in its order.
    pub(crate) files: Vec<Arc<[u8]>>,
    /// The command, if the cell is of one; `files` are its contents then.
    pub(crate) command: Option<Arc<Command>>,
    /// The image of its root file system.
    pub(crate) root: Option<RootDisk>,
    /// What the command reads.
    pub(crate) stdin: Option<Stdin>,
    /// Why a compiler made no object of the source: then nothing is booted.
    pub(crate) refused: Option<Arc<Refusal>>,
    /// Why the artifact could not be kept beside the evidence: then nothing is booted.
    pub(crate) unkept: Option<Arc<evidence_dir::Error>>,
    /// Modules that the object may need; none until they are
    /// [assembled](crate::prepare::Files::assemble).
    pub(crate) modules: Vec<NamedModule>,
    /// What the guest boots; empty until it is assembled.
    pub(crate) initramfs: Arc<Path>,
    pub(crate) agent: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) strict: bool,
    pub(crate) timeout: Duration,
    pub(crate) out: Arc<Path>,
    pub(crate) budget: Budget,
    /// Instructions that the baseline has for this cell's programs.
    pub(crate) baseline: BTreeMap<String, u64>,
}

impl Inputs {
    /// The machine that the cell is run in, with this much memory in MiB.
    pub(crate) fn boot(&self, memory: u32, evidence: PathBuf) -> Boot {
        let kernel = &self.kernel;
        let initramfs = self.initramfs.to_path_buf();
        Boot {
            cmdline: [&*kernel.cmdline, &self.planned.cmdline].concat(),
            memory,
            cpus: self.planned.cpus,
            userland: self.userland(),
            ..Boot::of(kernel, self.planned.cell.clone(), initramfs, evidence)
        }
    }

    /// What the guest has beside memory and CPUs.
    pub(crate) fn userland(&self) -> Userland {
        let command = self.command.as_ref();
        Userland {
            network: command.map_or(Network::None, |command| command.network),
            root: self.root.clone(),
            host_root: command.is_some_and(|command| command.host_root),
        }
    }

    /// Whether nothing from outside of the lock and the store has a part in the verdict.
    pub(crate) fn is_hermetic(&self) -> bool {
        self.kernel.hermetic && self.userland().is_hermetic() && self.planned.cell.btf.is_none()
    }

    /// The BTF that the command line named, with its digest.
    pub(crate) fn external_btf(&self) -> Option<ExternalBtf> {
        let name = self.planned.cell.btf.clone()?;
        let file = self.files.get(self.planned.contract.custom_btf?)?;
        let sha256 = digest::of(file);
        Some(ExternalBtf { name, sha256 })
    }

    /// Whether a guest is needed at all, which may be a copy of a saved one.
    pub(crate) fn can_be_copied(&self) -> bool {
        self.refused.is_none() && self.unkept.is_none()
    }

    /// The bytes that follow the request, in its order.
    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        let files = [&self.object].into_iter().chain(&self.files);
        let modules = self.modules.iter().map(|(_, bytes)| bytes);
        files.chain(modules).map(|part| &part[..]).collect()
    }

    /// What the agent is asked of a command: with the values of the variables that are not written
    /// down, and the names of this cell.
    pub(crate) fn command_request(&self, command: &Command) -> CommandRequest {
        let mut command = command.clone();
        for name in &command.inherited {
            if let Ok(value) = std::env::var(name) {
                command.environment.insert(name.clone(), value);
            }
        }
        let cell = &self.planned.cell;
        let own = [
            ("UKCI_KERNEL", cell.kernel.clone()),
            ("UKCI_CELL", cell.id()),
        ];
        for (name, value) in own {
            command.environment.insert(name.to_owned(), value);
        }
        CommandRequest {
            command,
            sysctl: self.kernel.sysctl.clone(),
            time: now(),
            entropy: entropy(),
            modules: self.module_files(),
        }
    }

    /// How far this cell goes: without tests there is nothing beyond the attachment.
    pub(crate) fn mode_of_cell(&self) -> Mode {
        match self.mode {
            Mode::Behave if self.planned.contract.tests.is_empty() => Mode::Attach,
            mode => mode,
        }
    }

    /// The contract, with the tests only if they are to be run.
    fn contract(&self) -> Contract {
        let mut contract = self.planned.contract.clone();
        if self.mode != Mode::Behave {
            contract.tests.clear();
        }
        contract
    }

    /// The time that the functional tests may take, on bare hardware.
    pub(crate) fn tests_time(&self) -> Duration {
        let tests = self.contract().tests;
        let millis = tests.iter().map(|test| test.timeout_ms + test.wait_ms);
        Duration::from_millis(millis.sum())
    }

    /// What the agent is asked, in a cell that may take as long as `limit`.
    pub(crate) fn request(&self, limit: Duration) -> Request {
        Request {
            name: self.artifact.artifact.name.clone(),
            size: self.object.len() as u64,
            mode: self.mode_of_cell(),
            contract: self.contract(),
            sysctl: self.kernel.sysctl.clone(),
            time: now(),
            entropy: entropy(),
            isolation_seconds: Some((limit / ISOLATION_SHARE).as_secs().max(1)),
            modules: self.module_files(),
        }
    }

    fn module_files(&self) -> Vec<ModuleFile> {
        let modules = self.modules.iter();
        let files = modules.map(|(name, bytes)| ModuleFile {
            name: name.clone(),
            size: bytes.len() as u64,
        });
        files.collect()
    }
}

/// Seconds since the epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

/// The search for the refused parts of an object takes at most one part in so many of a cell's time:
/// the boot, the load of the whole and the answer need the rest.
const ISOLATION_SHARE: u32 = 2;

/// 32 bytes that no other guest was given, hex.
fn entropy() -> String {
    let mut bytes = [0; 32];
    // The first 256 bytes of a seeded pool come whole; without them the guest keeps its own.
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    HEXLOWER.encode(&bytes[..got.unwrap_or(0)])
}

/// What `plan.json` holds: every input of the cell by digest. Its own digest says what a cell is of.
#[derive(Serialize)]
pub(super) struct PlanFile<'a> {
    id: String,
    cell: &'a PlannedCell,
    artifact: &'a PlannedArtifact,
    kernel: &'a PlannedKernel,
    agent: &'a str,
    mode: Mode,
    /// SHA-256 of the bytes that the guest is handed.
    object: &'a str,
    strict: bool,
    budget: Budget,
    baseline: &'a BTreeMap<String, u64>,
}

impl<'a> PlanFile<'a> {
    pub(super) fn of(inputs: &'a Inputs) -> Self {
        Self {
            id: inputs.planned.cell.id(),
            cell: &inputs.planned,
            artifact: &inputs.artifact,
            kernel: &inputs.kernel,
            agent: &inputs.agent,
            mode: inputs.mode,
            object: &inputs.object_sha256,
            strict: inputs.strict,
            budget: inputs.budget,
            baseline: &inputs.baseline,
        }
    }

    /// The digest of all of it.
    pub(super) fn digest(&self) -> serde_json::Result<String> {
        Ok(digest::of(&serde_json::to_vec(self)?))
    }
}
