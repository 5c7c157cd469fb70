//! Machines that boot cells: the seam that tests play guests behind, and QEMU behind it.

pub mod budget;
pub mod device;
mod error;
mod interface;
mod kvm;
mod private_dir;
mod process;
mod program;
pub mod qemu;
mod qemu_guest;
mod qmp;
mod vhost_user;

pub use error::Error;
pub use interface::{Boot, Ending, Guest, Hardware, Machine, NoConnection, Usage};
pub use qemu_guest::QemuGuest;
