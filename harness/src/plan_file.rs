//! Plans that someone else resolved: read from a file and checked, or completed from a draft.
//!
//! A plan names files by digest, and every one of them is read again before anything boots: what
//! a run reports is what it ran.

mod complete;
mod read;
#[cfg(test)]
mod tests;

pub use complete::complete;
pub use read::{Error, read};
