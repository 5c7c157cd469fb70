//! `ukci exec`: run a command in the kernels of a matrix and report how it ended.

use std::path::Path;

use crate::args::Exec;
use crate::cells;
use crate::commands;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

/// Runs the command.
pub(crate) fn run(mut exec: Exec, output: Output) -> Result<Exit, Failure> {
    let line = exec.command_line();
    let words = std::mem::take(&mut exec.words);
    let mut draft = commands::draft(words, exec.program.clone());
    draft.name = exec.name.take();
    draft.shell = exec.shell.take();
    draft.artifact = exec.artifact.take();
    draft.expected_status = exec.expect_exit;
    draft.watched = !exec.no_watch;
    match exec.stdin.take() {
        Some(file) if file == Path::new("-") => draft.stdin_stream = true,
        file => draft.stdin = file,
    }
    let streams = draft.stdin_stream;
    let mut settings = Settings::of_exec(exec);
    settings.command_line = line;
    settings.command = Some(commands::plan(draft, &mut settings.selection, output)?);
    if streams {
        settings.stdin = Some(cells::stdin());
    }
    cells::run(&settings, output).map(|(_, exit)| exit)
}
