//! `ukci`: check that an eBPF object loads and attaches on every kernel you ship to, and explain
//! why not.

mod args;
mod atomic_file;
mod carried;
mod cells;
mod command;
mod commands;
mod diagnostic;
mod embedded;
mod environment;
mod exit;
mod fetching;
mod grid;
mod host;
mod imaging;
mod lock_file;
mod out_dir;
mod output;
mod passed;
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
mod text;
mod tty;
mod version;
mod versions;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use ukci_harness::render::harmless;

use ukci_harness::cache::InUse;
use ukci_harness::catalogue::cache_dir;

use crate::args::{Cli, Command, Kernels};
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        tty::restore();
        output::say_panic(panic);
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return no_command(&error).into(),
    };
    let output = Output::new(&cli.global);
    trace(cli.global.verbose);
    // Nothing is removed from the cache while a command uses it.
    let _in_use = uses_cache(&cli.command).then(|| InUse::shared(&cache_dir()));
    let result = match cli.command {
        Command::Check(check) => command::check::run(*check, output),
        Command::Exec(exec) => command::exec::run(*exec, output),
        Command::Runner(runner) => command::runner::run(*runner, output),
        Command::Sweep(sweep) => command::sweep::run(&sweep, output),
        Command::Mskv(mskv) => command::mskv::run(&mskv, output),
        Command::Bisect(bisect) => command::bisect::run(*bisect, output),
        Command::List(list) => command::list::run(*list, output),
        Command::Rerun(rerun) => command::rerun::run(*rerun, output),
        Command::Shell(shell) => command::shell::run(shell, output),
        Command::Report(report) => command::report::run(&report, output),
        Command::Plan(plan) => command::plan::run(*plan, output),
        Command::Kernels(kernels) => command::kernels::run(&kernels, output),
        Command::Cache(cache) => command::cache::run(&cache, output),
        Command::Manifest(manifest) => command::manifest::run(manifest, output),
        Command::Warm(warm) => command::warm::run(&warm, output),
        Command::Init(init) => command::init::run(&init, output),
        Command::Doctor(doctor) => command::doctor::run(&doctor, output),
        Command::Explain(explain) => command::explain::run(&explain, output),
        Command::Help(help) => command::help::run(&help, output),
    };
    tty::restore();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.say(&failure.text());
            failure.exit.into()
        }
    }
}

/// Help and version are not mistakes. The text of a mistake quotes the command line.
fn no_command(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Met;
    }
    // The same mistake in words that hold no line break and nothing that acts on a terminal.
    let words = std::env::args_os().map(|word| harmless(&word.to_string_lossy()).into_string());
    match Cli::try_parse_from(words) {
        Err(shown) if shown.kind() == error.kind() => output::say_usage(&shown),
        _ => output::say_usage(&clap::Error::new(error.kind()).with_cmd(&Cli::command())),
    }
    Exit::Usage
}

/// Whether a command boots or prepares kernels. `ukci cache` says itself what it does.
fn uses_cache(command: &Command) -> bool {
    match command {
        Command::Check(_)
        | Command::Rerun(_)
        | Command::Shell(_)
        | Command::Plan(_)
        | Command::Sweep(_)
        | Command::Bisect(_)
        | Command::Mskv(_) => true,
        Command::Kernels(kernels) => matches!(kernels, Kernels::Fetch(_) | Kernels::Features(_)),
        _ => false,
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
        .with_ansi(false)
        .with_writer(output::Traces::default)
        .init();
}
