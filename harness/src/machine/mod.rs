//! Machines that boot cells: the traits, and their implementation with QEMU.

pub mod budget;
mod cached_answer;
pub mod device;
mod emulator;
mod error;
mod evidence_file;
mod guard;
mod host_share;
pub(crate) mod interface;
mod kvm;
mod migration;
mod private_dir;
mod process;
mod processor;
pub mod qemu;
mod qemu_guest;
mod qemu_machine;
pub(crate) mod qmp;
mod saving;
mod schedstat;
mod start;
pub mod template;
mod template_key;
mod terminal;
mod unprivileged;
mod userland;
mod vhost_user;

pub use crate::deadline::WaitedForCpu;
pub use crate::timeline::CpuTime;
pub use error::Error;
pub use interface::{
    Boot, Ending, Exited, Guest, Hardware, Machine, NoConnection, NoTemplate, Usage,
};
pub use qemu_guest::QemuGuest;
pub use template::Template;
pub use userland::{RootDisk, Userland};
