//! Runs plans: resolves a matrix to files, boots each cell's kernel, hands the artifact to the
//! guest, judges what comes back, and collects the report.
//!
//! Nothing here prints. What happens leaves a run as an [`event::Event`]; files are rendered from
//! the report by [`render`].

pub mod arch;
pub mod catalogue;
pub mod cell;
pub mod channel;
pub mod compile;
pub mod console;
pub mod cpio;
pub mod event;
pub mod evidence_dir;
pub mod features;
pub mod initramfs;
pub mod machine;
pub(crate) mod modules;
pub mod nix;
pub mod plan_file;
pub mod render;
pub mod report;
pub mod resolve;
pub mod run;
pub mod shell;
pub mod transport;
