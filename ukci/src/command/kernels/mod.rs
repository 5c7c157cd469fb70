//! `ukci kernels`: one file per subcommand.

mod booted;
mod build;
#[cfg(feature = "pin")]
mod change_log;
mod features;
pub(super) mod fetch;
#[cfg(feature = "pin")]
mod freshness;
mod list;
pub(super) mod named;
#[cfg(feature = "pin")]
mod pin_versions;
mod show;
mod unpack;
#[cfg_attr(not(feature = "pin"), path = "without_pin.rs")]
mod update;

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
        Kernels::Build(args) => build::run(args, output),
        Kernels::Add(args) => update::add(args, output),
        Kernels::Update(args) => update::update(args, output),
        Kernels::Freshness(args) => update::freshness(args, output),
        Kernels::Booted(args) => booted::run(args, output),
        Kernels::Unpack(args) => unpack::run(args, output),
        Kernels::Initramfs(args) => unpack::initramfs(args),
    }
}
