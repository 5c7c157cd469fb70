//! `ukci`: check that an eBPF object loads and attaches on every kernel you ship to, and explain
//! why not.

mod args;
mod atomic_file;
mod carried;
mod cells;
mod command;
mod diagnostic;
mod embedded;
mod environment;
mod exit;
mod fetching;
mod grid;
mod host;
mod lock_file;
mod out_dir;
mod output;
mod plan_file;
#[cfg(test)]
mod reference;
mod report_file;
mod report_formats;
mod runtime;
mod selected;
mod settings;
mod stdout;
mod terminal;
mod version;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not mistakes. clap knows which stream each goes to.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Met
            };
            let _ = error.print();
            return exit.into();
        }
    };
    let output = Output::new(&cli.global);
    trace(cli.global.verbose);
    let result = match cli.command {
        Command::Check(check) => command::check::run(*check, output),
        Command::List(list) => command::list::run(*list, output),
        Command::Rerun(rerun) => command::rerun::run(*rerun, output),
        Command::Shell(shell) => command::shell::run(shell, output),
        Command::Report(report) => command::report::run(&report, output),
        Command::Plan(plan) => command::plan::run(*plan, output),
        Command::Kernels(kernels) => command::kernels::run(&kernels, output),
        Command::Manifest(manifest) => command::manifest::run(&manifest),
        Command::Init(init) => command::init::run(&init, output),
        Command::Doctor => command::doctor::run(output),
        Command::Explain(explain) => command::explain::run(&explain),
        Command::Help(help) => command::help::run(&help),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.say(&failure.text());
            failure.exit.into()
        }
    }
}

/// What `ukci` does inside: `-vv`, or `UKCI_LOG` in the syntax of `tracing`'s filters.
fn trace(verbose: u8) {
    let filter = match std::env::var("UKCI_LOG") {
        Ok(filter) => filter,
        Err(_) if verbose > 1 => "ukci_harness=debug".into(),
        Err(_) => return,
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}
