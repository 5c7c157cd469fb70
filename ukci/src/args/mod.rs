//! The command line, one file per command. Every doc comment on an argument is part of the manual.
//! Its first line must make sense alone, because `-h` prints nothing else of it.

mod arch;
pub(crate) mod bisect;
pub(crate) mod cache;
mod check;
mod cli;
mod doctor;
mod exec;
mod explain;
mod format;
mod global;
pub(crate) mod init;
mod kernels;
mod list;
mod machine;
pub(crate) mod manifest;
pub(crate) mod mskv;
mod outputs;
mod plan;
mod program;
pub(crate) mod report;
pub(crate) mod rerun;
mod runner;
mod selection;
pub(crate) mod shell;
pub(crate) mod sweep;
mod tty;
pub(crate) mod userland;
pub(crate) mod versions;
mod warm;

pub(crate) use check::{Check, Mode};
pub(crate) use cli::{Cli, Command};
pub(crate) use doctor::Doctor;
pub(crate) use exec::Exec;
pub(crate) use explain::{Explain, Help};
pub(crate) use format::{Format, FormatKind};
pub(crate) use global::{Color, Global};
#[cfg(feature = "pin")]
pub(crate) use kernels::FreshnessFormat;
pub(crate) use kernels::{
    Add, Booted, Build, DebugCheck, Features, FeaturesFormat, Fetch, Freshness, Initramfs, Kernels,
    Offer, Show, Unpack, Update,
};
pub(crate) use list::{List, ListFormat};
pub(crate) use machine::{Accel, Machines, Transport};
pub(crate) use outputs::Outputs;
pub(crate) use plan::Plan;
pub(crate) use program::Program;
pub(crate) use runner::Runner;
pub(crate) use selection::{Compilation, ManifestOf, Selection};
pub(crate) use tty::{Terminal, Tty};
pub(crate) use warm::Warm;
