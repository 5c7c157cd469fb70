//! Runs an artifact on versions of a kernel: what `sweep` and `bisect` share.

use ukci_harness::kernel_versions::{self, Versions};
use ukci_harness::render::harmless;
use ukci_harness::report::merge;
use ukci_harness::version_outcome::VersionOutcome;
use ukci_schema::lock::Lock;
use ukci_schema::report::Report;
use ukci_schema::verdict::VerdictKind;

use crate::args::versions::OnVersions;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, GOOD, Output, UNKNOWN, WARN, paint};
use crate::report_formats;
use crate::settings::Settings;
use crate::text::{Text, text};

/// The versions of a stream. Says how many have nothing but an image, which are left out unless they
/// were requested.
pub(crate) fn find<'a>(
    stream: &str,
    on: &OnVersions,
    lock: &'a Lock,
    output: Output,
) -> Result<Versions<'a>, Failure> {
    let found = Versions::of(stream, on.arch, on.images_only, lock).map_err(|e| wrong(&e))?;
    if found.pins.is_empty() {
        let message = format!("the lock has only the images of the kernels of `{stream}`");
        let hint = "include them with `--images-only`".to_owned();
        return Err(Failure::says(Exit::NoCells, &message, Some(hint)));
    }
    if found.images_only > 0 && output.chatty {
        output.say(&text!(
            "{} {} of the stream have no modules and no configuration any more, and are left out \
             (`--images-only` includes them)",
            paint(WARN, "note:"),
            crate::text::count(found.images_only, "version")
        ));
    }
    Ok(found)
}

/// Writes one report of several runs into the same directory, so that `ukci rerun` and `ukci shell` find
/// their cells.
pub(crate) fn write_report(
    reports: Vec<Report>,
    settings: &Settings,
    output: Output,
) -> Result<(), Failure> {
    if reports.is_empty() {
        return Ok(());
    }
    let whole = merge::merge(reports)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    report_formats::write_all(&settings.out, &settings.formats, &whole, output)
}

/// A stream or a version that is not there.
pub(crate) fn wrong(error: &kernel_versions::Error) -> Failure {
    Failure::of(Exit::Usage, error, error.hint())
}

/// The verdict and the code in the color of the verdict.
pub(crate) fn verdict(line: &VersionOutcome) -> Text {
    let style = match line.verdict {
        VerdictKind::Pass => GOOD,
        VerdictKind::Fail => BAD,
        VerdictKind::Skip => WARN,
        VerdictKind::Error => UNKNOWN,
    };
    let word = line.verdict.name();
    let text = match line.code {
        Some(code) => text!("{} {}", word, code),
        None => text!("{}", word),
    };
    text.painted(style)
}

/// What the verifier did for all programs together; empty if it accepted none.
pub(crate) fn cost(line: &VersionOutcome) -> Text {
    match line.total() {
        0 => Text::default(),
        total => text!("{} insns", harmless(&ukci_harness::render::grouped(total))),
    }
}
