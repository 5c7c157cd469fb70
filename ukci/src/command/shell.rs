//! `ukci shell`: boot a cell's machine with a shell in it.

use std::io::IsTerminal;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::time::timeout;
use ukci_harness::cell_shell;
use ukci_harness::command;
use ukci_harness::machine;
use ukci_harness::scratch::Scratch;
use ukci_schema::report::Asked;

use super::rerun;
use crate::args::shell::Shell;
use crate::args::userland::Userland;
use crate::args::{Machines, Outputs};
use crate::cells::{self, Work};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, label};
use crate::settings::recorded;
use crate::text::text;
use crate::{commands, report_file, runtime, tty};
use ukci_harness::render::{harmless, quoted};

/// Runs the command. With `--command` the status is the command's own.
pub(crate) fn run(args: Shell, output: Output) -> Result<Exit, Failure> {
    let report = report_file::read(&args.report)?;
    let cell = rerun::find(&report, &args.cell)?.clone();
    if cell.command.is_some() {
        let message = format!("`{}` is a cell of a command", harmless(&cell.id));
        let hint = format!(
            "open a shell with what the command found: `ukci exec --kernel {} {}--shell 'exec sh'`",
            quoted(&cell.kernel),
            surroundings(&report.run.asked.command)
        );
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    // The guest's shell would wait for keys that nobody types.
    if args.command.is_none() && !std::io::stdin().is_terminal() {
        let message = "a shell needs a terminal, and the standard input of ukci is none";
        let hint = "run the text of a script with `-c TEXT`, such as `-c \"$(cat script.sh)\"`";
        return Err(Failure::says(Exit::Usage, message, Some(hint.to_owned())));
    }
    let scratch = Scratch::create()
        .map_err(|error| Failure::failed_to("create a temporary directory", &error))?;
    let settings = recorded::read(
        report,
        std::slice::from_ref(&cell),
        &report_file::dir_of(&args.report),
        args.anyway,
        // A shell leaves nothing in the cache.
        u64::MAX,
        Machines::with_accel(args.accel),
        Outputs::only(scratch.path()),
    )?;
    let work = Work::of(&settings, output)?;
    let busybox = commands::busybox(cell.arch, output)?;
    let Userland {
        file,
        rootfs,
        host_root,
        net,
        tool,
    } = args.userland;
    if host_root {
        command::check_host(cell.arch).map_err(|error| commands::refused(&error))?;
    }
    let root = rootfs.map(|source| commands::root_image(&source, cell.arch, output));
    let root = root.transpose()?.map(|image| machine::RootDisk {
        path: image.path().to_owned(),
        sha256: image.root.sha256.clone(),
    });
    let tools = commands::tools(&tool, cell.arch, output)?;
    let is_bare = host_root || root.is_some();
    let files = command::sent(&file, &tools, cell.arch, commands::library_path(), is_bare)
        .map_err(|error| commands::refused(&error))?;
    let userland = machine::Userland {
        network: net.into(),
        root,
        host_root,
    };
    let commanded = args.command.is_some();
    let limit = args.timeout.or(commanded.then_some(LIMIT));
    let _terminal = Terminal::kept();
    let ended = runtime::run_to_first_signal(|cancel| {
        let settings = &settings;
        async move {
            let resolved = cells::resolve(settings, output, work, &cancel).await?;
            let Some((plan, warnings)) = resolved else {
                return Ok(None);
            };
            let qemu = cells::qemu(settings, &plan).await?;
            let options = cells::options(settings, &plan, &qemu, warnings, Asked::default());
            if output.chatty {
                output.say(&text!("{} {}", label(GOOD, "Booting"), harmless(&cell.id)));
            }
            let shell = cell_shell::Shell {
                busybox,
                userland,
                files,
                command: args.command,
                window: tty::followed(),
                term: std::env::var("TERM").unwrap_or_else(|_| "dumb".into()),
            };
            let shell = cell_shell::run(&plan, &qemu, &options, &shell);
            let ended = match limit {
                // The machine is killed when this is dropped.
                Some(limit) => (timeout(limit, shell).await).map_err(|_| too_late(limit))?,
                None => shell.await,
            };
            ended
                .map(Some)
                .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
        }
    })?;
    Ok(match ended {
        None | Some(None) => Exit::Interrupted,
        // An interactive shell's last status says nothing of ukci's work.
        Some(Some(status)) => status.filter(|_| commanded).map_or(Exit::Met, Exit::Guest),
    })
}

/// How long a command may take unless the command line says so.
const LIMIT: Duration = Duration::from_mins(10);

fn too_late(limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    let message =
        format!("the guest's shell did not end within {limit}, and its machine was killed");
    let hint = "allow more time with `--timeout`".to_owned();
    Failure::says(Exit::NoVerdict, &message, Some(hint))
}

/// The terminal's settings, which QEMU changes and does not restore where it is killed.
struct Terminal(Option<Termios>);

impl Terminal {
    fn kept() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // Nobody is left to tell when the terminal is gone.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
        }
    }
}

/// The options of a command that say what it finds in the guest, each with a space after it.
fn surroundings(command: &[String]) -> String {
    const WITH_VALUE: &[&str] = &[
        "--artifact",
        "--cpus",
        "--env",
        "--file",
        "--memory",
        "--module",
        "--net",
        "--rootfs",
        "--tool",
        "--user",
        "--workdir",
    ];
    let mut text = String::new();
    let mut words = command.iter().take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--host-root" {
            text.push_str("--host-root ");
        } else if WITH_VALUE.contains(&word.as_str()) {
            let value = words.next().map_or("", String::as_str);
            text.push_str(&format!("{word} {} ", quoted(value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::surroundings;

    #[test]
    fn a_shell_for_a_command_finds_what_the_command_found() {
        let line = [
            "--shell",
            "ls",
            "--file",
            "a b:/c",
            "--rootfs",
            "deb.tar",
            "--expect-exit",
            "3",
            "--host-root",
            "--",
            "--net",
            "user",
        ];
        let line = line.map(str::to_owned);
        assert_eq!(
            surroundings(&line),
            "--file 'a b:/c' --rootfs deb.tar --host-root "
        );
    }
}
