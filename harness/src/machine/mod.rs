//! Machines that boot cells: the traits, and their implementation with QEMU.

pub mod budget;
mod cached_answer;
pub mod device;
mod emulator;
mod error;
mod evidence_file;
mod guard;
pub(crate) mod interface;
mod kvm;
mod private_dir;
mod process;
pub mod qemu;
mod qemu_guest;
mod qmp;
mod schedstat;
mod unprivileged;
mod vhost_user;

pub use crate::deadline::WaitedForCpu;
pub use crate::timeline::CpuTime;
pub use error::Error;
pub use interface::{Boot, Ending, Exited, Guest, Hardware, Machine, NoConnection, Usage};
pub use qemu_guest::QemuGuest;
