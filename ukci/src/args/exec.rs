//! `ukci exec`: a command in the kernels of a matrix.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::cache::Limit;
use super::program::Program;
use super::tty::Terminal;
use super::{Machines, Outputs, Selection};

pub(super) const HELP: &str = "\
Examples:
  ukci exec --kernel 6.1 ./target/debug/mytool --once
  ukci exec --matrix lts --artifact x.bpf.o --file config.toml -- ./loader x.bpf.o
  ukci exec --kernel 6.12 --shell 'bpftool prog list | grep xdp' bpftool
  ukci exec --stdin packets.bin --env RUST_LOG=debug --expect-exit 3 ./parser

A dynamically linked program takes its libraries with it. The guest has busybox, and whatever you \
send. Files that the command writes to the directory `$UKCI_OUT` come back, below `out/` of the \
cell's directory. See docs/running.md.";

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Program to run, and its arguments
    ///
    /// The program is looked up on this host and sent to the guest. With `--shell`, it is `$0` of
    /// the shell, and the arguments are `$@`.
    #[arg(
        value_name = "CMD",
        trailing_var_arg = true,
        required_unless_present = "shell"
    )]
    pub(crate) words: Vec<OsString>,

    /// Run a text with the guest's `sh` instead of the program itself
    #[arg(long, value_name = "TEXT", help_heading = "Command options")]
    pub(crate) shell: Option<String>,

    /// Name of the command, the first part of its cells' ids [default: the program's file name]
    #[arg(long, value_name = "NAME", value_parser = name, help_heading = "Command options")]
    pub(crate) name: Option<String>,

    /// Object that the command loads
    ///
    /// It is sent to the guest under the path that it has here. `$UKCI_ARTIFACT` has that path.
    #[arg(long, value_name = "X.bpf.o", help_heading = "Command options")]
    pub(crate) artifact: Option<PathBuf>,

    /// Exit status with which the command passes
    #[arg(
        long,
        value_name = "STATUS",
        default_value = "0",
        help_heading = "Command options"
    )]
    pub(crate) expect_exit: u8,

    /// Do not watch the command's calls to the kernel's BPF subsystem
    ///
    /// By default, the report names each program, map and attachment of the command that the kernel
    /// refused, and says why. See docs/running.md for how this is done, and what the command can see
    /// of it.
    #[arg(long, help_heading = "Command options")]
    pub(crate) no_watch: bool,

    /// File for the command's standard input, or `-` for ukci's own standard input [default: empty]
    ///
    /// Every cell gets the whole file. Only one cell can read `-`. If it was given any input, ukci does not
    /// boot it a second time, and `ukci rerun` cannot run it again.
    #[arg(long, value_name = "FILE|-", help_heading = "Command options")]
    pub(crate) stdin: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) terminal: Terminal,

    #[command(flatten)]
    pub(crate) program: Program,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Stop at the first cell that does not meet its expectation
    #[arg(long, help_heading = "Run options")]
    pub(crate) fail_fast: bool,

    /// Keep the verdicts in `--out` whose inputs have not changed, and run only the other cells
    #[arg(long, help_heading = "Run options")]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) limit: Limit,

    #[command(flatten)]
    pub(crate) machines: Machines,

    #[command(flatten)]
    pub(crate) outputs: Outputs,
}

impl Exec {
    /// The options that describe the command, and its words, as a command line has them.
    pub(crate) fn command_line(&self) -> Vec<String> {
        let mut line: Vec<String> = Vec::new();
        let mut say = |option: &str, value: String| line.extend([option.to_owned(), value]);
        let path = |path: &PathBuf| path.display().to_string();
        for (option, value) in [
            ("--shell", self.shell.clone()),
            ("--name", self.name.clone()),
            ("--artifact", self.artifact.as_ref().map(path)),
            ("--stdin", self.stdin.as_ref().map(path)),
        ] {
            if let Some(value) = value {
                say(option, value);
            }
        }
        if self.expect_exit != 0 {
            say("--expect-exit", self.expect_exit.to_string());
        }
        for (option, value) in self.program.options() {
            say(option, value);
        }
        if self.program.userland.host_root {
            line.push("--host-root".to_owned());
        }
        if let Some(tty) = self.terminal.asked() {
            line.extend(["--tty".to_owned(), tty]);
        }
        if self.no_watch {
            line.push("--no-watch".to_owned());
        }
        if !self.words.is_empty() {
            line.push("--".to_owned());
        }
        let words = self.words.iter();
        line.extend(words.map(|word| word.to_string_lossy().into_owned()));
        line
    }
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('/') {
        return Err("expected a name without `/`".into());
    }
    Ok(text.to_owned())
}
