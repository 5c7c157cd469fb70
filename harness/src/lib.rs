//! Runs plans: it resolves a matrix to files, boots each cell's kernel, sends the artifact to the
//! guest, judges the evidence that comes back, and collects the report.
//!
//! Nothing here prints. A run reports its progress as [`event::Event`]s, and [`render`] renders
//! files from the report.

pub mod arch;
pub mod atomic_file;
pub mod bisection;
pub mod cache;
pub mod catalogue;
pub mod causes;
pub mod cell;
pub mod cell_shell;
pub mod channel;
pub mod command;
pub mod compile;
pub mod compression;
pub mod console;
mod conversation;
pub mod cpio;
mod deadline;
mod elf_dynamic;
pub mod event;
pub mod evidence_dir;
pub mod file_name;
pub mod full_disk;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod initramfs;
pub mod input_file;
pub mod kernel_build;
pub mod kernel_features;
pub mod kernel_quirks;
pub mod kernel_versions;
pub mod machine;
mod needed_modules;
pub mod nix;
pub mod object_file;
pub mod package_version;
pub mod plan_file;
pub mod prepare;
mod remembered;
pub mod render;
pub mod report;
pub mod resolve;
pub mod rootfs;
pub mod run;
mod run_options;
mod schedule;
pub mod scratch;
pub mod support;
mod templates;
mod threads;
mod timeline;
pub mod transport;
pub mod version_outcome;
pub mod waited_for;
pub mod warm;
