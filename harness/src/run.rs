//! Runs a plan: schedules cells under a budget, stops on cancel or the first failure, collects
//! the report.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use ukci_schema::evidence::Mode;
use ukci_schema::plan::Plan;
use ukci_schema::report::{Report, RunInfo};

use crate::event::Event;
use crate::machine::Machine;

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far artifacts are taken.
    pub mode: Mode,
    /// Whether a program that could not be attempted fails its cell.
    pub strict: bool,
    /// Machines at once; at least 1.
    pub jobs: usize,
    /// Longest time for a cell on bare hardware; multiplied by [`Machine::slowness`].
    pub timeout: Duration,
    /// Whether to stop at the first cell that does not meet its expectation.
    pub fail_fast: bool,
    /// Directory for the evidence; created. `report.json` goes there too, by the caller.
    pub out: PathBuf,
    /// What the report says of the run; `seconds`, `interrupted` and `hermetic` are filled in.
    pub info: RunInfo,
}

/// A run that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory or file of the evidence could not be written.
    #[error("write `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs every cell of `plan` on `machine` and tells `observe` what happens as it happens.
///
/// When `cancel` becomes true no further cell starts and those under way are shut down; the
/// report then holds what finished. Dropping the future kills every guest at once.
pub async fn run<M: Machine>(
    plan: Plan,
    machine: M,
    options: Options,
    cancel: watch::Receiver<bool>,
    observe: impl FnMut(Event) + Send,
) -> Result<Report, Error> {
    let _ = (plan, machine, options, cancel, observe);
    unimplemented!()
}
