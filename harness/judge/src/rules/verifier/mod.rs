//! A program that the verifier rejected: its sentence in the headline, and what to do about it.
//!
//! A family of sentences has a file. Each speaks from what the log shows (registers, sizes, ranges,
//! the instruction and the argument at fault) and from what the object declares.

mod argument;
mod context;
mod feature;
mod function;
mod held;
mod kernel;
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
