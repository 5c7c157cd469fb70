//! Plans that somebody else resolved: they are read from a file and checked, or completed from a
//! draft.
//!
//! A plan names files by digest, and every file is read again before anything boots. So a run used
//! exactly the files that its report names.

mod complete;
mod read;
#[cfg(test)]
mod tests;

pub use complete::complete;
pub use read::{Error, read};
