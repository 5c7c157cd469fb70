//! `ukci kernels`: one file per subcommand.

mod booted;
mod features;
pub(super) mod fetch;
mod list;
#[cfg_attr(not(feature = "pin"), path = "without_pin.rs")]
mod lock;
pub(super) mod named;
mod show;
mod unpack;

use crate::args::Kernels;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the command.
pub(crate) fn run(kernels: &Kernels, output: Output) -> Result<Exit, Failure> {
    match kernels {
        Kernels::List => list::run(),
        Kernels::Show(args) => show::run(args),
        Kernels::Features(args) => features::run(args, output),
        Kernels::Fetch(args) => fetch::run(args, output),
        Kernels::Add(args) => lock::add(args, output),
        Kernels::Update(args) => lock::update(args, output),
        Kernels::Booted(args) => booted::run(args, output),
        Kernels::Unpack(args) => unpack::run(args, output),
        Kernels::Initramfs(args) => unpack::initramfs(args),
    }
}
