//! Reads what the cells of a plan are run with: a plan and the options of a run go in, and the
//! bytes of every file come out. What several cells share is read only once. Nothing is booted
//! here. What only a boot needs is made when a cell asks for it, because most cells of a repeated
//! run have their evidence in the cache.

mod error;

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
use std::sync::Arc;

use ukci_schema::artifact::Form;
use ukci_schema::cell::Cell;
use ukci_schema::command::{self, Command};
use ukci_schema::contract::Contract;
use ukci_schema::plan::{
    FileRef, Kept, Plan, PlannedArtifact, PlannedCell, PlannedKernel, PlannedObject,
};

use crate::catalogue::digest;
use crate::cell::{Inputs, Refusal};
use crate::command::Stdin;
use crate::evidence_dir;
use crate::initramfs;
use crate::input_file::{self, FILE_LIMIT};
use crate::machine::{RootDisk, Userland};
use crate::needed_modules::{Modules, Needs};
use crate::rootfs;
use crate::run_options::Options;
use crate::waited_for::WaitedFor;

pub use error::Error;

/// The cells of a plan, with all that is known of them without a boot.
pub(crate) struct Prepared<'a> {
    /// Those whose kernels are there, each with its place in the plan.
    pub(crate) cells: Vec<(usize, Inputs)>,
    /// The others, by their kernels.
    pub(crate) waiting: BTreeMap<String, Vec<(usize, Waiting)>>,
    pub(crate) files: Files<'a>,
}

/// A cell of which everything was read but its kernel, which is still to come.
pub(crate) struct Waiting(Inputs);

impl Waiting {
    /// The cell, whose kernel is there.
    pub(crate) fn on(self, kernel: Arc<PlannedKernel>) -> Inputs {
        Inputs { kernel, ..self.0 }
    }

    /// The cell, which has no kernel and cannot be booted.
    pub(crate) fn without_kernel(self) -> Inputs {
        self.0
    }
}

impl<'a> Prepared<'a> {
    /// Reads everything that `plan` names, except for what kernels boot. The kernels that are waited
    /// for need not be in the plan.
    pub(crate) fn of(
        plan: &'a Plan,
        options: &'a Options,
        waited_for: &WaitedFor,
    ) -> Result<Self, Error> {
        let mut files = Files {
            plan,
            options,
            out: options.out.as_path().into(),
            kernels: BTreeMap::new(),
            assembled: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            objects: BTreeMap::new(),
            companions: BTreeMap::new(),
            baseline: baseline(options),
        };
        let (mut cells, mut waiting) = (Vec::new(), BTreeMap::<String, Vec<_>>::new());
        for (place, planned) in plan.cells.iter().enumerate() {
            let key = planned.cell.kernel_key();
            if waited_for.names(&key) {
                let inputs = files.inputs(planned, Arc::new(unknown(&planned.cell)))?;
                let of_kernel = waiting.entry(key).or_default();
                of_kernel.push((place, Waiting(inputs)));
            } else {
                let kernel = files.kernel(&planned.cell)?;
                cells.push((place, files.inputs(planned, kernel)?));
            }
        }
        Ok(Self {
            cells,
            waiting,
            files,
        })
    }
}

/// An object's bytes and their digest, or why there is none.
type Object = Result<(Arc<[u8]>, Arc<str>), Arc<Refusal>>;

/// An artifact, its bytes, and why they could not be kept beside the evidence.
#[derive(Clone)]
struct Artifact {
    planned: Arc<PlannedArtifact>,
    bytes: Arc<[u8]>,
    unkept: Option<Arc<evidence_dir::Error>>,
}

/// A kernel's initramfs and its modules.
struct BootFiles {
    initramfs: Arc<Path>,
    modules: Option<Modules>,
}

/// What has been read so far.
pub(crate) struct Files<'a> {
    plan: &'a Plan,
    options: &'a Options,
    out: Arc<Path>,
    kernels: BTreeMap<String, Arc<PlannedKernel>>,
    assembled: BTreeMap<String, BootFiles>,
    artifacts: BTreeMap<&'a str, Artifact>,
    objects: BTreeMap<String, Object>,
    /// By digest.
    companions: BTreeMap<String, Arc<[u8]>>,
    /// Instructions of each program in the baseline, by the cell's id.
    baseline: HashMap<String, BTreeMap<String, u64>>,
}

impl<'a> Files<'a> {
    fn inputs(
        &mut self,
        planned: &'a PlannedCell,
        kernel: Arc<PlannedKernel>,
    ) -> Result<Inputs, Error> {
        let cell = &planned.cell;
        let agent = self.plan.agents.get(&cell.arch);
        let agent = agent.ok_or_else(|| incomplete("agent", cell.arch.name(), cell))?;
        let Artifact {
            planned: artifact,
            bytes: source,
            unkept,
        } = self.artifact(cell)?;
        let source_sha256 = artifact.file.sha256.as_str();
        let (object, sha256, refused) = match self.object(cell)? {
            None => (source, source_sha256.into(), None),
            Some(Ok((object, sha256))) => (object, sha256, None),
            Some(Err(diagnosis)) => (source, source_sha256.into(), Some(diagnosis)),
        };
        let contract = &planned.contract;
        let command = command(&artifact, &object, cell)?;
        let names: Vec<&str> = match &command {
            Some(command) => command
                .contents()
                .iter()
                .map(|(sha256, _)| *sha256)
                .collect(),
            None => contract.files.iter().map(String::as_str).collect(),
        };
        let files = names
            .into_iter()
            .map(|name| self.companion(&artifact, name, cell))
            .collect::<Result<_, _>>()?;
        let stdin = match command.as_deref().map(|command| &command.stdin) {
            Some(command::Stdin::File { sha256, .. }) => {
                Some(Stdin::Bytes(self.companion(&artifact, sha256, cell)?))
            }
            Some(command::Stdin::Stream) => self.options.stdin.clone().map(Stdin::Stream),
            Some(command::Stdin::Empty) | None => None,
        };
        let root = command.as_deref().and_then(|command| command.root.as_ref());
        let root = root.map(|root| RootDisk {
            path: rootfs::path_of(&self.options.cache, &root.sha256),
            sha256: root.sha256.clone(),
        });
        Ok(Inputs {
            planned: planned.clone(),
            kernel,
            artifact,
            object,
            object_sha256: sha256,
            files,
            command,
            root,
            stdin,
            refused,
            unkept,
            modules: Vec::new(),
            initramfs: Path::new("").into(),
            agent: agent.sha256.as_str().into(),
            mode: self.options.mode,
            strict: self.options.strict,
            timeout: self.options.timeout,
            out: Arc::clone(&self.out),
            budget: self.plan.budget,
            baseline: self.baseline.remove(&cell.id()).unwrap_or_default(),
        })
    }

    /// Makes what the cell's guest boots, or finds it in the cache, and reads the modules that its
    /// object may need.
    pub(crate) fn assemble(&mut self, inputs: &mut Inputs) -> Result<(), Error> {
        let userland = inputs.userland();
        self.assemble_with(inputs, &userland)
    }

    /// The same, with the drivers that such a guest needs.
    pub(crate) fn assemble_with(
        &mut self,
        inputs: &mut Inputs,
        userland: &Userland,
    ) -> Result<(), Error> {
        let cell = &inputs.planned.cell;
        let boot_files = self.boot_files(cell)?;
        if let Some(modules) = &mut boot_files.modules {
            let wanted = inputs.command.as_deref();
            let wanted = wanted.map_or(&[][..], |command| &command.modules);
            let drivers = userland.modules();
            let wanted = wanted.iter().map(String::as_str).chain(drivers);
            let needs = needs(&inputs.object, &inputs.planned.contract, wanted);
            inputs.modules = modules.needed(&needs).map_err(|source| Error::Modules {
                kernel: cell.kernel.clone(),
                artifact: cell.artifact.clone(),
                source,
            })?;
        }
        inputs.initramfs = Arc::clone(&boot_files.initramfs);
        Ok(())
    }

    /// A kernel came that was waited for.
    pub(crate) fn add(&mut self, key: String, kernel: PlannedKernel) -> Arc<PlannedKernel> {
        let kernel = Arc::new(kernel);
        self.kernels.insert(key, Arc::clone(&kernel));
        kernel
    }

    fn kernel(&mut self, cell: &Cell) -> Result<Arc<PlannedKernel>, Error> {
        let entry = match self.kernels.entry(cell.kernel_key()) {
            Entry::Occupied(entry) => return Ok(Arc::clone(entry.get())),
            Entry::Vacant(entry) => entry,
        };
        let planned = self.plan.kernels.get(entry.key());
        let planned = planned.ok_or_else(|| incomplete("kernel", entry.key(), cell))?;
        Ok(Arc::clone(entry.insert(Arc::new(planned.clone()))))
    }

    fn boot_files(&mut self, cell: &Cell) -> Result<&mut BootFiles, Error> {
        let planned = self.kernel(cell)?;
        let entry = match self.assembled.entry(cell.kernel_key()) {
            Entry::Occupied(entry) => return Ok(entry.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let agent = self.plan.agents.get(&cell.arch);
        let agent = agent.ok_or_else(|| incomplete("agent", cell.arch.name(), cell))?;
        let initramfs = initramfs::assemble(&self.options.cache, agent, &planned.segment);
        let initramfs = initramfs.map_err(|source| Error::Initramfs {
            kernel: cell.kernel.clone(),
            source,
        })?;
        let modules = match &planned.modules {
            None => None,
            Some(pack) => Some(Modules::open(pack).map_err(|source| Error::Read {
                path: pack.path.clone(),
                source,
            })?),
        };
        Ok(entry.insert(BootFiles {
            initramfs: initramfs.into(),
            modules,
        }))
    }

    /// The cell's artifact and its bytes, of which an object is also kept beside the evidence.
    fn artifact(&mut self, cell: &'a Cell) -> Result<Artifact, Error> {
        let name = cell.artifact.as_str();
        if let Some(artifact) = self.artifacts.get(name) {
            return Ok(artifact.clone());
        }
        let planned = self.plan.artifacts.get(name);
        let planned = planned.ok_or_else(|| incomplete("artifact", name, cell))?;
        let bytes = read(&planned.file, &planned.kept)?;
        // A source alone would not be what was compiled: its headers are elsewhere.
        let form = planned.artifact.form;
        let kept = if form == Form::Source {
            Ok(())
        } else {
            evidence_dir::keep_artifact(&self.options.out, name, form, &bytes)
        };
        let artifact = Artifact {
            planned: Arc::new(planned.clone()),
            bytes,
            unkept: kept.err().map(Arc::new),
        };
        self.artifacts.insert(name, artifact.clone());
        Ok(artifact)
    }

    /// What the compiler made of the cell's artifact, if that is a source.
    fn object(&mut self, cell: &Cell) -> Result<Option<Object>, Error> {
        let Some(key) = cell.object_key() else {
            return Ok(None);
        };
        let entry = match self.objects.entry(key) {
            Entry::Occupied(entry) => return Ok(Some(entry.get().clone())),
            Entry::Vacant(entry) => entry,
        };
        let planned = self.plan.objects.get(entry.key());
        let object = match planned.ok_or_else(|| incomplete("object", entry.key(), cell))? {
            PlannedObject::Refused { diagnosis, log, .. } => Err(Arc::new(Refusal {
                diagnosis: diagnosis.clone(),
                log: log.clone(),
            })),
            PlannedObject::Object { file, .. } => {
                Ok((read(file, &Kept::default())?, file.sha256.as_str().into()))
            }
        };
        Ok(Some(entry.insert(object).clone()))
    }

    /// A file that the contract names.
    fn companion(
        &mut self,
        artifact: &PlannedArtifact,
        name: &str,
        cell: &Cell,
    ) -> Result<Arc<[u8]>, Error> {
        let file = artifact.companions.get(name);
        let file = file.ok_or_else(|| incomplete("file", name, cell))?;
        match self.companions.entry(file.sha256.clone()) {
            Entry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let bytes = read(file, &artifact.kept)?;
                Ok(Arc::clone(entry.insert(bytes)))
            }
        }
    }
}

/// What is known of a cell's kernel before it is there: nothing of it is used unless it never comes.
fn unknown(cell: &Cell) -> PlannedKernel {
    let none = || FileRef {
        path: Path::new("").into(),
        sha256: String::new(),
    };
    PlannedKernel {
        name: cell.kernel.clone(),
        release: String::new(),
        arch: cell.arch,
        image: none(),
        segment: none(),
        modules: None,
        cmdline: Vec::new(),
        sysctl: Vec::new(),
        no_driver_for: Vec::new(),
        hermetic: true,
        packages: BTreeMap::new(),
    }
}

/// What the artifact says, if it is a command.
fn command(
    artifact: &PlannedArtifact,
    bytes: &[u8],
    cell: &Cell,
) -> Result<Option<Arc<Command>>, Error> {
    if artifact.artifact.form != Form::Command {
        return Ok(None);
    }
    let command = serde_json::from_slice(bytes);
    command
        .map(|command| Some(Arc::new(command)))
        .map_err(|_| incomplete("command", &artifact.artifact.name, cell))
}

fn incomplete(what: &'static str, name: &str, cell: &Cell) -> Error {
    Error::Incomplete {
        what,
        name: name.to_owned(),
        cell: cell.id(),
    }
}

/// The modules and symbols that the object and its contract name.
fn needs<'a>(
    object: &[u8],
    contract: &'a Contract,
    wanted: impl Iterator<Item = &'a str>,
) -> Needs {
    let mut needs = Needs::by(object);
    for target in contract.targets.values() {
        needs.section(&target.section(&contract.files));
    }
    for module in contract.modules.iter().map(String::as_str).chain(wanted) {
        needs.module(module);
    }
    needs
}

/// The bytes that have the file's digest: those that were kept when it was taken, or what the file
/// has if it is unchanged.
fn read(file: &FileRef, kept: &Kept) -> Result<Arc<[u8]>, Error> {
    if let Some(bytes) = kept.get(&file.sha256) {
        return Ok(Arc::clone(bytes));
    }
    let path = &file.path;
    let bytes = input_file::read(path, FILE_LIMIT).map_err(|refused| Error::Read {
        path: path.clone(),
        source: refused.into(),
    })?;
    if digest::of(&bytes) != file.sha256 {
        return Err(Error::Changed { path: path.clone() });
    }
    Ok(bytes.into())
}

/// Instructions of each program in the baseline, by the cell's id.
fn baseline(options: &Options) -> HashMap<String, BTreeMap<String, u64>> {
    let cells = options.baseline.iter().flat_map(|report| &report.cells);
    cells
        .map(|cell| {
            let programs = cell.programs.iter().filter_map(|program| {
                let stats = program.verifier.as_ref()?;
                Some((program.name.clone(), stats.insns))
            });
            (cell.id.clone(), programs.collect())
        })
        .collect()
}
