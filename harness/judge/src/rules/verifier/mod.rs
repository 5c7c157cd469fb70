//! Programs that the verifier rejected: its message is the headline, and the hints say what to do
//! about it.
//!
//! There is one file per family of messages. Hints are derived from what the log shows (registers,
//! sizes, ranges, the instruction and the argument) and from what the object declares.

mod argument;
mod context;
mod feature;
mod function;
mod held;
mod kernel;
mod kfunc_argument;
mod memory;
mod missing;
mod packet;
mod pointer;
mod rejected;
mod rejection;
mod returned;
mod size;
mod stack;
mod words;

pub(crate) use missing::{Missing, missing_helper};
pub(crate) use rejected::rejected;
