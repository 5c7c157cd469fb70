//! Works on finished reports: merges several into one, or compares two.

pub mod compare;
pub mod merge;
mod stage_change;

pub use stage_change::StageChange;
