//! The options with which a plan is run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// Longest time for a cell on bare hardware; multiplied by
    /// [`Machine::slowness`](crate::machine::Machine::slowness).
    pub timeout: Duration,
    /// Whether to stop at the first cell that does not meet its expectation.
    pub fail_fast: bool,
    /// Directory for the evidence; created. `report.json` goes there too, by the caller.
    pub out: PathBuf,
    /// Where assembled initramfs files are kept.
    pub cache: PathBuf,
    /// Whether cells are kept that an earlier run into `out` finished with the same inputs.
    pub resume: bool,
    /// The report that the growth of the plan's budget is held against.
    pub baseline: Option<Arc<Report>>,
    /// What the report says of the run; `seconds`, `interrupted`, `hermetic`, `toolchains` and
    /// `budget` are filled in.
    pub info: RunInfo,
}
