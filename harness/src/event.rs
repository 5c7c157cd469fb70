//! What a run reports while it goes on. Nothing else leaves a run before it ends.

use crate::command::{Chunk, Closer};
use ukci_schema::cell::Cell;
use ukci_schema::report::{CellReport, Choice, Report};
use ukci_schema::verdict::Stage;

/// Something happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The run begins.
    Started {
        /// Name of the matrix.
        matrix: String,
        /// The artifacts' names.
        artifacts: Vec<String>,
        /// Cells to run.
        cells: usize,
        /// How many kernels, LLVMs (0 where nothing is compiled) and architectures they span.
        axes: (usize, usize, usize),
        /// Cells that the matrix excluded.
        excluded: usize,
        /// Machines at once.
        jobs: usize,
        /// The accelerator, and why.
        accel: Choice,
        /// The transport, and why.
        transport: Choice,
    },
    /// Something is not exactly as requested; told once.
    Warning(String),
    /// A cell reached a stage.
    Stage {
        /// The cell.
        cell: Cell,
        /// The stage that began.
        stage: Stage,
    },
    /// A cell's command wrote something.
    Output {
        /// The cell.
        cell: Cell,
        /// What, and where.
        chunk: Chunk,
        /// Closes the command's output, if nobody reads it any more.
        closer: Closer,
    },
    /// A cell is booted once more.
    Retry {
        /// The cell.
        cell: Cell,
        /// The reason, one sentence.
        why: String,
    },
    /// A cell ended.
    Finished {
        /// What is reported of it.
        report: Box<CellReport>,
        /// Whether it did not run, because an earlier run's verdict still holds.
        kept: bool,
        /// How many have ended, this one included.
        done: usize,
        /// How many were planned.
        total: usize,
    },
    /// The run was asked to stop; the machines still up are being shut down.
    Interrupted,
    /// The run is over.
    Ended(Box<Report>),
}
