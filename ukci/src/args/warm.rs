//! The arguments of `ukci warm`.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use ukci_schema::cell::Arch;

use super::machine::duration;
use super::{Accel, arch};

pub(super) const HELP: &str = "\
Examples:
  ukci warm                       save guests of the matrix `quick`
  ukci warm 6.1 6.12              save a guest of these two kernels
  ukci warm --matrix matrix.toml  save guests of your own matrix

A run does this by itself for each kernel that has two cells or more, so you rarely need this command. \
Use it to prepare a machine before it is used, or to speed up cells that run alone: a run that finds \
a saved guest uses it. Guests are saved for the memory, CPUs and kernel arguments that the \
matrix has, below `templates` in the cache.";

#[derive(Debug, Args)]
pub(crate) struct Warm {
    /// Kernels to boot and save, by name or path
    #[arg(value_name = "KERNEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernels: Vec<String>,

    /// Matrix with the kernels to boot and save [default: quick, unless a kernel is named]
    #[arg(short, long, value_name = "NAME|FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) matrix: Option<String>,

    /// Architecture to save guests for. Can be repeated
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub(crate) arch: Vec<Arch>,

    /// How many machines to run at once [default: as many as cores and memory allow]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Machine options")]
    pub(crate) jobs: Option<u16>,

    /// Give up on a kernel after this time, such as `90s` or `2m`
    ///
    /// With the accelerator tcg, which emulates the CPU, the limit is five times as long.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,
}
