//! `ukci runner`: run one command in one kernel as if it ran here.

use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use ukci_harness::event::Event;
use ukci_harness::render::harmless;
use ukci_harness::scratch::Scratch;
use ukci_schema::command::Ended;
use ukci_schema::diagnosis::Code;
use ukci_schema::report::CellReport;
use ukci_schema::verdict::VerdictKind;

use crate::args::Runner;
use crate::cells;
use crate::commands;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::output::{BAD, HINT, Output, paint};
use crate::passed::Passed;
use crate::settings::Settings;
use crate::terminal::refused;
use crate::text::{Text, text};
use crate::tty;

/// The status if the command's time was up, as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// The status if the command could not be run, as env(1) has it.
const NOT_RUN: u8 = 125;

/// Variables that belong to this host: the guest has its own, or none.
const OURS: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    // Its directories are given to the guest as absolute paths.
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "OLDPWD",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TMPDIR",
    "USER",
    "XDG_RUNTIME_DIR",
    "_",
];

/// Runs the command. Every failure that is not the command's own ends with one status.
pub(crate) fn run(runner: Runner, output: Output) -> Result<Exit, Failure> {
    attempt(runner, output).map_err(|failure| failure.ending_with(Exit::Guest(NOT_RUN)))
}

fn attempt(mut runner: Runner, output: Output) -> Result<Exit, Failure> {
    // People see the command's own words and nothing else, until something goes wrong.
    let output = output.quietly();
    let words = std::mem::take(&mut runner.words);
    let mut draft = commands::draft(words, runner.program.clone());
    draft.watched = runner.watch;
    let given: BTreeSet<String> = draft.environment.keys().cloned().collect();
    let here = std::env::vars_os().filter_map(|(name, value)| {
        // A variable that is not UTF-8 cannot travel.
        value.to_str()?;
        name.into_string().ok()
    });
    let theirs = here.filter(|name| {
        let own = OURS.contains(&name.as_str()) || name.starts_with("UKCI_");
        !own && !given.contains(name)
    });
    draft.inherited.extend(theirs);
    let stdin = std::io::stdin();
    draft.stdin_stream = !stdin.is_terminal();
    let window = tty::window(runner.terminal.tty);
    if let Some(window) = window {
        commands::give_terminal(&mut draft, window);
    }
    let back = std::env::var_os("UKCI_OUT").filter(|dir| !dir.is_empty());
    let back = back.and_then(|dir| std::path::absolute(dir).ok());
    if let Some(dir) = &back
        && dir.exists()
        && !dir.is_dir()
    {
        let message = format!("`UKCI_OUT` is `{}`, which is no directory", dir.display());
        let hint = "set `UKCI_OUT` to a directory, or to one that can be made".to_owned();
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    draft.out = back.as_ref().map(|dir| dir.display().to_string());
    let scratch = Scratch::create()
        .map_err(|error| Failure::failed_to("create a temporary directory", &error))?;
    let streams = draft.stdin_stream;
    let mut settings = Settings::of_runner(runner, scratch.path());
    settings.command = Some(commands::plan(draft, &mut settings.selection, output)?);
    if let Some(window) = window {
        let (attached, typed) = tty::attach(window);
        (settings.tty, settings.stdin) = (Some(attached), Some(typed));
    } else if streams {
        settings.stdin = Some(cells::stdin());
    }
    let mut passed = Passed::default();
    let report = cells::run_quietly(&settings, output, |event| match event {
        Event::Output { chunk, closer, .. } => passed.pass(&chunk, &closer),
        Event::Retry { why, .. } => output.warn(&why),
        _ => {}
    })?;
    let Some(report) = report else {
        return Ok(Exit::Interrupted);
    };
    let Some(cell) = report.cells.first() else {
        return Ok(Exit::Interrupted);
    };
    if let Some(back) = &back {
        let left = scratch.path().join(&cell.evidence).join("out");
        copy(&left, back).map_err(|error| Failure::failed_to(Action::on("write", back), &error))?;
    }
    for line in refused(cell) {
        output.say(&line);
    }
    if let Some(lost) = passed.lost() {
        return Err(Failure::says(Exit::NoVerdict, &lost, None));
    }
    let exit = ended(cell, output);
    // `exec` leaves nobody to clean up.
    drop(scratch);
    Ok(match exit {
        Ending::Status(status) => Exit::Guest(status),
        Ending::Signal(signal) => die_of(signal, output),
    })
}

/// How this process ends.
enum Ending {
    Status(u8),
    Signal(i32),
}

/// The command's own end, if there is nothing that its caller must not miss.
fn ended(cell: &CellReport, output: Output) -> Ending {
    let ended = cell.command.as_ref().map(|command| &command.ended);
    let code = cell.diagnosis.as_ref().map(|diagnosis| diagnosis.code);
    let is_own =
        cell.fault.is_none() && !matches!(code, Some(Code::KernelSplat | Code::KernelPanic));
    if is_own && code.is_some_and(|code| code != Code::CommandValidationFailure) {
        // The kernel refused a program of the command's.
        output.say(&complaint(cell));
    }
    match ended {
        Some(Ended::Exited { status }) if is_own => return Ending::Status(*status),
        Some(Ended::Signaled { signal }) if is_own => return Ending::Signal(*signal),
        _ => {}
    }
    output.say(&complaint(cell));
    let timed_out = matches!(ended, Some(Ended::TimedOut { .. }));
    if timed_out && cell.verdict == VerdictKind::Fail {
        Ending::Status(TIMED_OUT)
    } else {
        Ending::Status(NOT_RUN)
    }
}

/// Why there is no end of the command's own: a sentence, the last lines of a log, and what to do.
fn complaint(cell: &CellReport) -> Text {
    let (headline, lines, hints) = match (&cell.diagnosis, &cell.fault) {
        (Some(diagnosis), _) => (
            diagnosis.headline.as_str(),
            // What the command wrote has been seen.
            (diagnosis.excerpt.as_ref())
                .filter(|_| diagnosis.code != Code::CommandValidationFailure)
                .map_or(&[][..], |excerpt| &excerpt.lines),
            &diagnosis.hints[..],
        ),
        (None, Some(fault)) => (
            fault.headline.as_str(),
            &fault.console[..],
            &fault.hints[..],
        ),
        (None, None) => ("the command did not run", &[][..], &[][..]),
    };
    let mut text = text!(
        "{} on {}: {}\n",
        paint(BAD, "ukci:"),
        harmless(&cell.kernel),
        harmless(headline)
    );
    for line in lines {
        text.push(&text!("  {}\n", harmless(line)));
    }
    // The evidence is gone with the temporary directory.
    let files = [".log`", ".txt`"];
    let hints = hints
        .iter()
        .filter(|hint| !files.iter().any(|file| hint.contains(file)));
    for hint in hints {
        text.push(&text!("{} {}\n", paint(HINT, "hint:"), harmless(hint)));
    }
    text
}

/// Ends as the command did: by the same signal. A shell takes the place of this process, because it
/// has none of the handlers that are installed here.
fn die_of(signal: i32, output: Output) -> Exit {
    let text = format!("ulimit -c 0; kill -{signal} $$");
    let error = std::process::Command::new("sh").args(["-c", &text]).exec();
    output.warn(&format!("failed to run `sh`: {error}"));
    // As a shell reports such an end.
    Exit::Guest(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// Copies a directory with everything in it, if it exists.
fn copy(from: &Path, to: &PathBuf) -> std::io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
