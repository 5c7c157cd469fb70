//! `ukci manifest`: write what an object's own loader does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Accel;
use super::machine::duration;
use super::program::Program;

pub(super) const HELP: &str = "\
Examples:
  ukci manifest suggest x.bpf.o > x.toml
  ukci manifest suggest x.bpf.o --report ukci-out > x.toml
  ukci manifest record --kernel 6.12 ./mytool --pid 1 > mytool.toml
  ukci manifest import bpfcompat.yaml > x.toml

`docs/manifest.md` explains every key.";

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Print a first manifest for an object, to be compared with its loader
    ///
    /// Many objects load only after their own loader has changed them. It sets the size of maps,
    /// chooses between programs that do the same, or sets what programs attach to. This command
    /// reads the object, and a report if there is one, and prints a manifest in TOML. Each choice
    /// has its reason above it as a comment. Questions that only you can answer are comments too.
    Suggest(Suggest),

    /// Print what a tool's own loader does with its object, recorded from one run of the tool
    ///
    /// The tool runs once in a kernel where it works, and ukci watches its calls to the kernel's BPF
    /// subsystem. The manifest says which programs of the object the tool does not load, which sizes it
    /// gives to maps, where it attaches programs, and which variables it sets. The manifest
    /// leaves out whatever the object already says.
    Record(Box<Record>),

    /// Print a bpfcompat manifest, which is YAML, as TOML
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Tool to run, and its arguments
    #[arg(value_name = "CMD", trailing_var_arg = true, required = true)]
    pub(crate) words: Vec<OsString>,

    /// Kernel to run in, by name or path. The tool must work on it
    #[arg(short, long, value_name = "NAME|PATH")]
    pub(crate) kernel: String,

    /// Directory with the modules of a user kernel. Can be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Vec<PathBuf>,

    /// Object that the tool loads [default: the one inside the tool]
    ///
    /// It is sent to the guest under the path that it has here. If the tool contains several objects,
    /// ukci records the one from which the tool loads the most programs.
    #[arg(long, value_name = "X.bpf.o")]
    pub(crate) artifact: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) program: Program,

    /// Stop the tool after this time, unless it ends by itself
    ///
    /// With the accelerator tcg, which emulates the CPU, the time is five times as long.
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The manifest in YAML
    #[arg(value_name = "FILE.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Suggest {
    /// The object to read, or a program that contains one
    ///
    /// Programs that are built with a skeleton of libbpf, with `include_bytes!` or with Go's `embed` contain
    /// their object.
    #[arg(value_name = "X.bpf.o")]
    pub(crate) object: PathBuf,

    /// Report of a run of the object, or the directory that holds it
    ///
    /// With it, the manifest also leaves out programs whose target no kernel of the report has, and
    /// names the programs that every kernel refused.
    #[arg(long, value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
}
