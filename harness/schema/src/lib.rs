//! The vocabulary of `ukci`: everything that is ever written down or sent.
//!
//! A [`Plan`](plan::Plan) names files by digest for every [`Cell`](cell::Cell). A guest observes
//! [`Evidence`](evidence::Evidence), which the crate `ukci-judge` turns into a
//! [`Verdict`](verdict::Verdict) with a [`Diagnosis`](diagnosis::Diagnosis); all of them together
//! are the [`Report`](report::Report).
//!
//! These are types and their serialized forms, and nothing else: no I/O happens here, and no
//! decision is made. Serialized types refuse unknown fields; a change of one is additive or a new
//! schema version. The agent in the guest depends on this crate and on no other of the workspace.

pub mod artifact;
pub mod behavior;
pub mod budget;
pub mod cell;
pub mod command;
mod constant;
pub mod contract;
pub mod diagnosis;
pub mod draft;
pub mod evidence;
pub mod features;
pub mod glob;
pub mod history;
#[cfg(feature = "json-schema")]
pub mod json_schema;
pub mod lock;
pub mod message;
pub mod placeholder;
pub mod plan;
pub mod plural;
pub mod report;
pub mod section;
pub mod serial_line;
pub mod sha256;
pub mod shell;
mod stage;
pub mod userland;
mod values;
pub mod verdict;
pub mod watched;
mod words;
