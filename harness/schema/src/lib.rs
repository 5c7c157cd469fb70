//! The vocabulary of `ukci`: everything that is ever written down or sent.
//!
//! A [`Matrix`](matrix::Matrix) names kernels, LLVMs and architectures. Resolved, it is a
//! [`Plan`](plan::Plan): files by digest for every [`Cell`](cell::Cell). A guest observes
//! [`Evidence`](evidence::Evidence); [`judge`](judge::judge) turns it into a
//! [`Verdict`](verdict::Verdict) with a [`Diagnosis`](diagnosis::Diagnosis); all of them
//! together are the [`Report`](report::Report).
//!
//! No I/O happens here. Serialised types refuse unknown fields; a change of one is additive or a
//! new schema version.

pub mod artifact;
pub mod authored;
pub mod budget;
pub mod canonical;
pub mod cell;
pub mod compare;
pub mod diagnosis;
pub mod draft;
pub mod evidence;
pub mod explain;
pub mod features;
pub mod history;
#[cfg(feature = "json-schema")]
pub mod json_schema;
pub mod judge;
pub mod lock;
pub mod manifest;
pub mod matrix;
pub mod merge;
pub mod message;
pub mod nearest;
pub mod partition;
pub mod plan;
pub mod report;
pub mod shell;
mod stage;
pub mod verdict;
