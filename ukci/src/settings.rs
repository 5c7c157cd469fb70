//! The settings of a run. They are built once from arguments, environment and files, or from the
//! report of an earlier run. The commands that run cells read nothing else.

mod pins;
pub(crate) mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ukci_harness::arch::Version;
use ukci_harness::command::StdinReader;
use ukci_harness::resolve::{ArtifactFile, Compilation, Selection};
use ukci_harness::run::Remember;
use ukci_matrix::partition::Partition;
use ukci_schema::evidence::Mode;
use ukci_schema::plan::PlannedArtifact;
use ukci_schema::report::Report;

use crate::args::mskv::Mskv;
use crate::args::versions::OnVersions;
use crate::args::{self, Format, Machines, ManifestOf};
use crate::carried;
use crate::diagnostic::Failure;
use crate::tty::Attached;
use crate::{report_file, version};

pub(crate) use pins::{Pins, short};

/// What a run is to do.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) artifacts: Vec<ArtifactFile>,
    pub(crate) manifests: Vec<ManifestOf>,
    /// A command to run.
    pub(crate) command: Option<PlannedArtifact>,
    /// The options that describe the command, and its words, as they are recorded.
    pub(crate) command_line: Vec<String>,
    /// What the command reads, if that is the standard input of this process.
    pub(crate) stdin: Option<StdinReader>,
    /// The terminal of this process, if the command has one.
    pub(crate) tty: Option<Attached>,
    /// A plan to run instead of resolving anything; the selection then only keeps some cells.
    pub(crate) plan: Option<PathBuf>,
    pub(crate) selection: Selection,
    /// A file whose BTF the objects are relocated against.
    pub(crate) btf: Option<PathBuf>,
    pub(crate) since: Option<Version>,
    pub(crate) shard: Option<Partition>,
    pub(crate) compilation: Compilation,
    /// The programs that artifacts were found in, by the names of the artifacts.
    pub(crate) embedded: BTreeMap<String, String>,
    pub(crate) mode: Mode,
    pub(crate) strict: bool,
    pub(crate) fail_fast: bool,
    pub(crate) resume: bool,
    pub(crate) remember: Remember,
    /// Most bytes of templates and verdicts in the cache after the run.
    pub(crate) cache_limit: u64,
    pub(crate) baseline: Option<Baseline>,
    pub(crate) machines: Machines,
    pub(crate) out: PathBuf,
    pub(crate) formats: Vec<Format>,
    /// Ids of the only cells to run, if not all that are selected.
    pub(crate) only: Option<BTreeSet<String>>,
    /// Of an earlier run: its cells and their bytes. Nothing else is run.
    pub(crate) pins: Option<Pins>,
}

/// An earlier report, and the path that a later run finds it by.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub(crate) path: PathBuf,
    pub(crate) report: Report,
}

impl Baseline {
    fn read(path: PathBuf) -> Result<Self, Failure> {
        let report = report_file::read(&path)?;
        Ok(Self { path, report })
    }
}

impl Settings {
    /// What a command line of `ukci check` says.
    pub(crate) fn of(check: args::Check) -> Result<Self, Failure> {
        Ok(Self {
            artifacts: (check.artifacts.into_iter().chain(check.artifact))
                .map(ArtifactFile::from)
                .collect(),
            manifests: check.manifest,
            command: None,
            command_line: Vec::new(),
            stdin: None,
            tty: None,
            plan: check.plan,
            btf: check.btf,
            since: check.selection.since,
            shard: check.selection.shard,
            selection: selection(check.selection),
            compilation: compilation(check.compilation),
            embedded: BTreeMap::new(),
            mode: check.mode.into(),
            strict: check.strict,
            fail_fast: check.fail_fast,
            resume: check.resume,
            remember: remember(check.no_cache),
            cache_limit: check.limit.cache_max_size.as_u64(),
            baseline: check.baseline.map(Baseline::read).transpose()?,
            machines: check.machines,
            out: check.outputs.out,
            formats: check.outputs.format,
            only: None,
            pins: None,
        })
    }
}

/// What becomes of remembered verdicts. A build whose sources nobody can name neither uses nor keeps
/// any: it may do other things to a guest than the build that kept them, or than the next one.
pub(crate) fn remember(no_cache: bool) -> Remember {
    match (version::is_commit(version::VERSION), no_cache) {
        (false, _) => Remember::Nothing,
        (true, true) => Remember::Anew,
        (true, false) => Remember::Reuse,
    }
}

/// Settings that run a command, which is put in later.
fn for_command(selection: Selection, machines: Machines, out: PathBuf) -> Settings {
    Settings {
        artifacts: Vec::new(),
        manifests: Vec::new(),
        command: None,
        command_line: Vec::new(),
        stdin: None,
        tty: None,
        plan: None,
        btf: None,
        since: None,
        shard: None,
        selection,
        compilation: Compilation::default(),
        embedded: BTreeMap::new(),
        mode: Mode::Behave,
        strict: false,
        fail_fast: false,
        resume: false,
        baseline: None,
        machines,
        out,
        formats: Vec::new(),
        only: None,
        pins: None,
        // What a command does is no fact of its bytes alone.
        remember: Remember::Nothing,
        cache_limit: u64::MAX,
    }
}

impl Settings {
    /// One artifact, or a command that is put in later, on versions of a kernel.
    pub(crate) fn of_versions(
        artifact: Option<&Path>,
        on: &OnVersions,
        kernels: Vec<String>,
    ) -> Self {
        let selection = Selection {
            kernels,
            arches: vec![on.arch],
            ..Selection::default()
        };
        Self {
            artifacts: (artifact.map(Path::to_owned).into_iter())
                .map(ArtifactFile::from)
                .collect(),
            manifests: on.manifest.iter().cloned().collect(),
            compilation: compilation(on.compilation.clone()),
            embedded: BTreeMap::new(),
            ..Self::of_cells(&on.cells, selection)
        }
    }

    /// What a command line of `ukci mskv` says, but for the kernels.
    pub(crate) fn of_mskv(mskv: &Mskv) -> Self {
        Self {
            artifacts: mskv
                .artifacts
                .iter()
                .cloned()
                .map(ArtifactFile::from)
                .collect(),
            manifests: mskv.manifest.clone(),
            ..Self::of_cells(&mskv.cells, Selection::default())
        }
    }

    /// How a search runs its cells, without what it runs.
    fn of_cells(cells: &args::versions::Cells, selection: Selection) -> Self {
        Self {
            mode: cells.mode.into(),
            remember: remember(cells.no_cache),
            cache_limit: cells.limit.cache_max_size.as_u64(),
            formats: cells.outputs.format.clone(),
            ..for_command(selection, cells.machines.clone(), cells.outputs.out.clone())
        }
    }

    /// What a command line of `ukci exec` says, but for the command.
    pub(crate) fn of_exec(exec: args::Exec) -> Self {
        let (since, shard) = (exec.selection.since, exec.selection.shard);
        let selection = selection(exec.selection);
        Self {
            since,
            shard,
            fail_fast: exec.fail_fast,
            resume: exec.resume,
            cache_limit: exec.limit.cache_max_size.as_u64(),
            formats: exec.outputs.format,
            ..for_command(selection, exec.machines, exec.outputs.out)
        }
    }

    /// What a command line of `ukci runner` says, but for the command.
    pub(crate) fn of_runner(runner: args::Runner, out: &Path) -> Self {
        let selection = Selection {
            kernels: vec![runner.kernel],
            modules: runner.modules,
            ..Selection::default()
        };
        let machines = Machines {
            cold: runner.cold,
            // A test runner starts many.
            others_follow: true,
            ..Machines::one(runner.timeout, runner.accel, runner.transport)
        };
        for_command(selection, machines, out.to_owned())
    }
}

/// The matrix that runs if the command line names neither a matrix nor a kernel.
pub(crate) const DEFAULT_MATRIX: &str = "quick";

/// Which cells the command line selects.
pub(crate) fn selection(args: args::Selection) -> Selection {
    let default = args.kernel.is_empty().then(|| DEFAULT_MATRIX.to_owned());
    Selection {
        matrix: args.matrix.or(default),
        kernels: args.kernel,
        arches: args.arch,
        llvms: args.llvm,
        modules: args.modules,
    }
}

/// How the command line has sources compiled.
pub(crate) fn compilation(args: args::Compilation) -> Compilation {
    Compilation {
        include: args.include,
        define: args.define,
        vmlinux_h: args.vmlinux_h,
        libbpf: carried::LIBBPF_HEADERS,
    }
}
