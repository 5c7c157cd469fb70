//! The program and its commands.

use clap::builder::{Styles, styling::AnsiColor};
use clap::{Parser, Subcommand};

use super::{
    Check, Doctor, Exec, Explain, Global, Help, Kernels, List, Plan, Runner, bisect, cache, check,
    exec, init, kernels, list, manifest, mskv, plan, report, rerun, runner, shell, sweep, warm,
};
use crate::{exit, version};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const START: &str = "\
Start with:
  ukci doctor                         check that this host can boot kernels
  ukci check x.bpf.o                  check an object on five kernels
  ukci check x.bpf.o --matrix full    check it on every x86_64 kernel
  ukci explain MISSING_BTF            explain a diagnosis

`ukci help environment` lists the environment variables.

";

/// Check that an eBPF object loads and attaches on every kernel you ship to, and explain why not
#[derive(Debug, Parser)]
#[command(
    name = "ukci",
    version = version::VERSION,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = START.to_owned() + &exit::help(),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check that objects load and attach on real kernels
    ///
    /// ukci boots each kernel of a matrix in QEMU, loads and attaches the object there with libbpf,
    /// and reports for every cell whether that worked and, if not, why. Kernels that are not in the
    /// cache are downloaded first.
    #[command(after_help = check::HELP)]
    Check(Box<Check>),

    /// Run a command in real kernels
    ///
    /// ukci boots each kernel, sends the program to the guest with everything that it needs, and
    /// runs it there as root. Its exit status is the verdict. With one kernel, its output passes
    /// through as if it ran here. With several, each line begins with the id of its cell, and the
    /// report is that of `ukci check`.
    #[command(after_help = exec::HELP, mut_arg("llvm", |llvm| llvm.hide(true)))]
    Exec(Box<Exec>),

    /// Run one command in one kernel as if it ran here, for test runners
    ///
    /// It is made for `cargo test`, `cargo nextest`, `go test -exec` and the like. It prints
    /// nothing of its own unless something goes wrong.
    #[command(after_help = runner::HELP)]
    Runner(Box<Runner>),

    /// Check an object on the successive versions of a kernel, and show where it changed
    ///
    /// Distributions ship many versions of a kernel under one name, and a fix in one of them can change
    /// a verdict or what the verifier needs. ukci boots the versions that the lock pins, from the oldest
    /// to the newest, and prints a line for each.
    #[command(after_help = sweep::HELP, mut_arg("out", |out| out.default_value("ukci-sweep")))]
    Sweep(Box<sweep::Sweep>),

    /// Find the first version of a kernel that changed a verdict or a cost
    ///
    /// ukci boots the good and the bad version, and then as few versions between them as
    /// possible. At the end it shows the evidence of the last good and the first bad version side by side.
    #[command(after_help = bisect::HELP, mut_arg("out", |out| out.default_value("ukci-bisect")))]
    Bisect(Box<bisect::Bisect>),

    /// Find the oldest kernels that accept an object: its minimum supported kernel versions
    ///
    /// ukci reads from the object which helpers, map types, program types, kfuncs and instructions it
    /// needs, and which mainline release introduced the newest of them. This is only a starting point,
    /// because distributions backport. ukci then boots the kernels around that point, until it has found
    /// the oldest that accepts the object and the one below it that refuses it.
    #[command(after_help = mskv::HELP, mut_arg("out", |out| out.default_value("ukci-mskv")))]
    Mskv(Box<mskv::Mskv>),

    /// List the cells of a matrix
    ///
    /// Nothing is downloaded or booted. The ids that this prints are the ones that `ukci rerun` and
    /// `ukci shell` take.
    #[command(after_help = list::HELP)]
    List(Box<List>),

    /// Run cells of a report again, from the same bytes
    ///
    /// At the end, ukci says for each cell whether the verdict, the diagnosis and the evidence are
    /// the same as before. It refuses to run if the artifact, the kernel or the agent has changed
    /// since then.
    #[command(after_help = rerun::HELP, mut_arg("out", |out| out.default_value("ukci-rerun")))]
    Rerun(Box<rerun::Rerun>),

    /// Boot a cell of a report and open a shell in it
    #[command(after_help = shell::HELP)]
    Shell(shell::Shell),

    /// Show, render, merge and compare reports
    #[command(subcommand, after_help = report::HELP)]
    Report(report::Report),

    /// Write a plan, which names every file of a run by its digest, for `ukci check --plan`
    ///
    /// A plan names every file of a run by its path and SHA-256: kernel images, initramfs segments,
    /// agents, and compiled objects. Everything that is missing is downloaded and compiled now, so
    /// that `ukci check --plan` needs neither network nor compiler.
    #[command(after_help = plan::HELP)]
    Plan(Box<Plan>),

    /// List, download and compare kernels
    #[command(subcommand, after_help = kernels::HELP)]
    Kernels(Kernels),

    /// Show, limit, clear and move what ukci keeps between runs
    ///
    /// ukci keeps packages, boot files, compiled objects and the evidence of cells below
    /// `~/.cache/ukci`, or below `$XDG_CACHE_HOME/ukci`. See docs/cache.md.
    #[command(subcommand, after_help = cache::HELP)]
    Cache(cache::Cache),

    /// Boot kernels and save their guests, so that cells start as copies of them
    #[command(after_help = warm::HELP)]
    Warm(warm::Warm),

    /// Write a manifest, which describes what an object's own loader does
    #[command(subcommand, after_help = manifest::HELP)]
    Manifest(manifest::Manifest),

    /// Write a matrix, manifests and a workflow for the objects of a project
    ///
    /// ukci looks for `.bpf.o` and `.bpf.c` files below the current directory. It writes
    /// `ukci/matrix.toml`, a manifest for each object that seems to need one, and a workflow for
    /// GitHub Actions. Files that exist are not touched.
    #[command(after_help = init::HELP)]
    Init(init::Init),

    /// Check whether this host can boot kernels
    ///
    /// It looks for QEMU, KVM, a transport between guest and host, the agents, downloaded kernels
    /// and a writable cache. If something is missing, a hint says how to get it. Nothing is booted.
    Doctor(Doctor),

    /// Explain a diagnosis: what it means, its usual causes and its remedies
    Explain(Explain),

    /// Print the help of a command, the environment variables or the exit statuses
    Help(Help),
}
