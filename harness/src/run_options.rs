//! The options with which a plan is run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::command::StdinReader;
use ukci_schema::evidence::Mode;
use ukci_schema::report::{Report, RunInfo};

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far artifacts are taken.
    pub mode: Mode,
    /// Whether a program that could not be attempted fails its cell.
    pub strict: bool,
    /// Machines at once; at least 1.
    pub jobs: usize,
    /// Most memory of all machines together, in MiB; `None` if only `jobs` counts.
    pub memory: Option<u64>,
    /// Longest time for a cell on bare hardware; multiplied by
    /// [`Machine::slowness`](crate::machine::Machine::slowness).
    pub timeout: Duration,
    /// Whether to stop at the first cell that does not meet its expectation.
    pub fail_fast: bool,
    /// Directory for the evidence; created. `report.json` goes there too, by the caller.
    pub out: PathBuf,
    /// Where assembled initramfs files are kept.
    pub cache: PathBuf,
    /// What becomes of verdicts that earlier runs reached.
    pub remember: Remember,
    /// Which cells start as copies of saved guests.
    pub copies: Copies,
    /// Whether cells are kept that an earlier run into `out` finished with the same inputs.
    pub resume: bool,
    /// The report that the growth of the plan's budget is held against.
    pub baseline: Option<Arc<Report>>,
    /// What commands read whose standard input is that of the caller.
    pub stdin: Option<StdinReader>,
    /// What the report says of the run; `seconds`, `interrupted`, `hermetic`, `toolchains` and
    /// `budget` are filled in.
    pub info: RunInfo,
}

/// Which cells start as copies of saved guests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// None: every guest boots its kernel.
    Never,
    /// Those whose guest has been saved before, and those that share a guest with another cell of
    /// the run: it is saved for them.
    #[default]
    WhenShared,
    /// Every one, because runs that follow have the same guest. A guest that has not been saved before
    /// is saved for a single cell too.
    Always,
}

/// Whether evidence of cells is kept in the cache, and judged again in place of a boot.
///
/// What a guest is given is known by digests, but what ukci itself does to a guest is not. So only a
/// build whose commit is known, and which has no other changes, may say anything but
/// [`Remember::Nothing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Remember {
    /// Every cell is booted, and the cache is left as it is.
    #[default]
    Nothing,
    /// Every cell is booted. What it comes to takes the place of what was kept.
    Anew,
    /// A cell is only booted if no evidence of it is kept.
    Reuse,
}
