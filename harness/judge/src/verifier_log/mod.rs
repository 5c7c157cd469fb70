//! Parses the verifier's log once: what each line is, the path that leads to the refusal, and the
//! state of the registers at its end.
//!
//! The format is that of Linux 5.10 to 7.3. The log comes from a guest and may be cut or damaged
//! anywhere. Whatever does not parse is left out, and nothing here panics.

mod instruction;
mod line;
mod reader;
mod register;
mod report;
mod sentence;
mod step;
mod trace;

pub(crate) use instruction::{Operation, Place};
pub(crate) use line::{is_backtracking, is_statistic};
pub(crate) use reader::changes_packet;
pub(crate) use register::Register;
pub(crate) use report::{classic, reason, suggestion};
pub(crate) use sentence::sentence;
pub(crate) use trace::{Origin, Trace};
