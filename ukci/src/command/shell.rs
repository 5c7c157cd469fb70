//! `ukci shell`: a cell's machine, to look around in.

use rustix::termios::tcgetwinsize;
use ukci_harness::cell_shell;
use ukci_schema::cell::Arch;
use ukci_schema::report::Asked;

use super::fetching::Fetching;
use super::pins::Pins;
use super::rerun;
use super::{check, report as reports, session};
use crate::args::shell::Shell;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, paint};

/// Runs the command. With `--command` the status is the command's own.
pub(crate) fn run(args: Shell, output: Output) -> Result<Exit, Failure> {
    let report = reports::read(&args.report)?;
    let cell = rerun::find(&report, &args.cell)?.clone();
    let mut like = rerun::check_like(
        &report,
        std::slice::from_ref(&cell),
        &rerun::dir_of(&args.report),
    )?;
    like.machines.accel = args.accel;
    like.artifacts.append(&mut like.artifact);
    let pins = Pins::of(report, std::slice::from_ref(&cell), args.anyway);
    let work = check::Work::of(&like, Some(&pins))?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::failed_to("create a temporary directory", &error))?;
    scratch.path().clone_into(&mut like.out);
    let busybox = busybox(cell.arch, output)?;
    let commanded = args.command.is_some();
    let ended = session::run(|cancel| async move {
        let resolved = check::resolve(output, work, Some(&pins), &cancel).await?;
        let Some((plan, warnings)) = resolved else {
            return Ok(None);
        };
        let qemu = check::machine(&like, &plan).await?;
        let options = check::options(&like, &plan, &qemu, warnings, Asked::default());
        if output.chatty {
            output.say(&format!(
                "{} {}",
                paint(GOOD, format_args!("{:>12}", "Booting")),
                cell.id
            ));
        }
        let shell = cell_shell::Shell {
            busybox,
            command: args.command,
            size: tcgetwinsize(std::io::stdout())
                .map_or((80, 24), |size| (size.ws_col, size.ws_row)),
            term: std::env::var("TERM").unwrap_or_else(|_| "dumb".into()),
        };
        cell_shell::run(&plan, &qemu, &options, &shell)
            .await
            .map(Some)
            .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
    })?;
    Ok(match ended {
        None | Some(None) => Exit::Interrupted,
        // An interactive shell's last status says nothing of ukci's work.
        Some(Some(status)) => status.filter(|_| commanded).map_or(Exit::Met, Exit::Guest),
    })
}

/// The shell for guests of this architecture.
fn busybox(arch: Arch, output: Output) -> Result<Vec<u8>, Failure> {
    let catalogue = super::catalogue()?;
    let fetching = Fetching::new(output);
    let busybox = catalogue.tool("busybox", arch, &|progress| fetching.show(progress));
    busybox.map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}
