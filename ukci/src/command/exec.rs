//! `ukci exec`: run a command in the kernels of a matrix and report how it ended.

use std::path::Path;

use ukci_harness::resolve;

use crate::args::{Exec, Tty};
use crate::cells;
use crate::commands;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::selected::unresolved;
use crate::settings::Settings;
use crate::tty;

/// Runs the command.
pub(crate) fn run(mut exec: Exec, output: Output) -> Result<Exit, Failure> {
    let line = exec.command_line();
    let words = std::mem::take(&mut exec.words);
    let mut draft = commands::draft(words, exec.program.clone());
    draft.name = exec.name.take();
    draft.shell = exec.shell.take();
    draft.artifact = exec.artifact.take();
    if let Some(object) = &draft.artifact {
        resolve::object(object).map_err(|error| unresolved(&error))?;
    }
    draft.expected_status = exec.expect_exit;
    draft.watched = !exec.no_watch;
    let tty = exec.terminal.tty;
    let mut window = tty::window(tty);
    match exec.stdin.take() {
        Some(file) if file == Path::new("-") => draft.stdin_stream = true,
        Some(file) if tty == Tty::Always => {
            let message = format!(
                "`--tty always` and `--stdin {}` exclude each other: a terminal reads what is typed",
                file.display()
            );
            let hint = "leave out `--tty`, or pass the file on with `--stdin - <FILE`".to_owned();
            return Err(Failure::says(Exit::Usage, &message, Some(hint)));
        }
        Some(file) => {
            // What a terminal reads is typed.
            window = None;
            draft.stdin = Some(file);
        }
        None => {}
    }
    let mut settings = Settings::of_exec(exec);
    settings.command_line = line;
    if let Some(window) = window {
        let mut draft = draft.clone();
        commands::give_terminal(&mut draft, window);
        settings.command = Some(commands::plan(draft, &mut settings.selection, output)?);
        match cells::count(&settings, output)? {
            1 => {
                let (attached, typed) = tty::attach(window);
                (settings.tty, settings.stdin) = (Some(attached), Some(typed));
                return cells::run(&settings, output).map(|(_, exit)| exit);
            }
            cells if tty == Tty::Always => {
                let message =
                    format!("{cells} cells are selected, and only one can have the terminal");
                let hint = "select one kernel with `--kernel`, or leave out `--tty`".to_owned();
                return Err(Failure::says(Exit::Usage, &message, Some(hint)));
            }
            _ => {}
        }
    }
    let streams = draft.stdin_stream;
    settings.command = Some(commands::plan(draft, &mut settings.selection, output)?);
    if streams {
        // One cell would take all of it from the others.
        let cells = cells::count(&settings, output)?;
        if cells > 1 {
            let message = format!("{cells} cells are selected, and only one can read `--stdin -`");
            let hint = "write the input to a file, and give it to every cell with `--stdin FILE`";
            return Err(Failure::says(Exit::Usage, &message, Some(hint.to_owned())));
        }
        settings.stdin = Some(cells::stdin());
    }
    cells::run(&settings, output).map(|(_, exit)| exit)
}
