//! Runs plans: resolves a matrix to files, boots each cell's kernel, hands the artifact to the
//! guest, judges what comes back, and collects the report.
//!
//! Nothing here prints. What happens leaves a run as an [`event::Event`]; files are rendered from
//! the report by [`render`].

pub mod arch;
pub mod atomic_file;
pub mod catalogue;
pub mod cell;
pub mod cell_shell;
pub mod channel;
pub mod compile;
pub mod console;
mod conversation;
pub mod cpio;
mod deadline;
pub mod event;
pub mod evidence_dir;
pub mod initramfs;
pub mod kernel_features;
pub mod machine;
mod needed_modules;
pub mod nix;
pub mod object_file;
pub mod plan_file;
pub mod plural;
pub mod prepare;
pub mod render;
pub mod report;
pub mod resolve;
pub mod run;
mod run_options;
pub mod transport;
