//! `ukci kernels booted`: mark the kernels that a report saw booted.

use ukci_harness::render::harmless;
use ukci_schema::lock::{LockedKernel, Verified};
use ukci_schema::report::Report;
use ukci_schema::verdict::{Stage, VerdictKind};

use crate::args::Booted;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, WARN, label, paint};
use crate::text::text;
use crate::{lock_file, report_file};

/// Marks the kernels that a report saw booted, if they were made of the locked bytes.
pub(super) fn run(booted: &Booted, output: Output) -> Result<Exit, Failure> {
    let path = &booted.lock.lock;
    let mut lock = lock_file::read(path)?;
    let mut marked = 0;
    for file in &booted.reports {
        let report = report_file::read(file)?;
        let kernels = lock.kernels.iter_mut();
        for kernel in kernels.filter(|kernel| kernel.verified != Verified::Booted) {
            if saw(&report, kernel) {
                kernel.verified = Verified::Booted;
                kernel.verified_on = Some(lock_file::today());
                marked += 1;
                if output.chatty {
                    let word = label(GOOD, "Booted");
                    output.say(&text!(
                        "{} {} on {}",
                        word,
                        harmless(&kernel.name),
                        kernel.arch
                    ));
                }
            }
        }
    }
    if marked == 0 {
        output.say(&text!(
            "{} no kernel was marked: each locked kernel that booted in these reports is marked already",
            paint(WARN, "warning:")
        ));
    }
    lock_file::write(path, &lock)?;
    Ok(Exit::Met)
}

/// Whether the report has a cell in which the agent spoke on exactly this kernel.
fn saw(report: &Report, kernel: &LockedKernel) -> bool {
    report.cells.iter().any(|cell| {
        let spoke = matches!(cell.verdict, VerdictKind::Pass | VerdictKind::Fail)
            && cell.stage >= Stage::Connect
            && cell.release == kernel.uname;
        let booted = report.kernels.get(&cell.cell().kernel_key());
        let same = booted.is_some_and(|booted| {
            booted.hermetic
                && kernel.packages.len() == booted.packages.len()
                && (kernel.packages.iter())
                    .all(|package| booted.packages.get(&package.name) == Some(&package.sha256))
        });
        (&cell.kernel, cell.arch) == (&kernel.name, kernel.arch) && spoke && same
    })
}
