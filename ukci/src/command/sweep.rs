//! `ukci sweep`: check an artifact on the successive versions of a kernel, a line for each.

use serde_json::json;
use ukci_harness::render::harmless;
use ukci_harness::version_outcome::{self, VersionOutcome};
use ukci_schema::lock::LockedKernel;

use crate::args::sweep::{Print, Sweep};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{Output, QUIET, WARN, paint};
use crate::settings::Settings;
use crate::stdout::{pretty, print, show};
use crate::text::{Side, Text, text};
use crate::{cells, lock_file, versions};

/// Version of the shape that the lines have as JSON.
const SCHEMA: &str = "ukci.sweep/1";

/// Runs the command.
pub(crate) fn run(sweep: &Sweep, output: Output) -> Result<Exit, Failure> {
    let lock = lock_file::lock()?;
    let mut found = versions::find(&sweep.stream, &sweep.on, &lock, output)?;
    match &sweep.between {
        Some((a, b)) => found
            .between(a, b)
            .map_err(|error| versions::wrong(&error))?,
        None if sweep.all => {}
        None => found.keep_last(sweep.last.get()),
    }
    let kernels: Vec<String> = (found.pins.iter())
        .map(|pin| LockedKernel::versioned_name(pin))
        .collect();
    let settings = Settings::of_versions(Some(&sweep.artifact), &sweep.on, kernels.clone());
    let (report, exit) = cells::run(&settings, output)?;
    let lines = version_outcome::in_order(&report.cells, &kernels, &settings.out);
    match sweep.print {
        Print::Text => show(output.fitting(table(&lines))),
        Print::Json => print(pretty(&json!({
            "schema": SCHEMA,
            "stream": sweep.stream,
            "arch": sweep.on.arch,
            "versions": lines,
        }))),
    }?;
    Ok(exit)
}

/// A line for each version, oldest first, and below it what changed.
fn table(lines: &[VersionOutcome]) -> Text {
    let wide = |of: &dyn Fn(&VersionOutcome) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let version = wide(&|line| line.version.len());
    let verdict = wide(&|line| versions::verdict(line).plain().len());
    let cost = wide(&|line| versions::cost(line).len());
    let mut text = Text::default();
    for line in lines {
        let shown = versions::verdict(line);
        let pad = verdict - shown.plain().len();
        let row = text!(
            "{}  {}  {}{}  {}",
            Text::from(harmless(&line.version)).aligned(Side::Left, version),
            Text::from(harmless(line.built.as_deref().unwrap_or("-"))).aligned(Side::Left, 10),
            shown,
            Text::default().aligned(Side::Left, pad),
            versions::cost(line).aligned(Side::Right, cost)
        );
        let mut row = row;
        row.trim_end();
        text.push_line(&row);
        for change in &line.changes {
            text.push_line(&text!(
                "    {} {}",
                paint(WARN, "changed:"),
                harmless(change)
            ));
        }
        let is_news = !line.changes.is_empty() || !line.is_known();
        if let Some(headline) = line.headline.as_deref().filter(|_| is_news) {
            text.push_line(&text!("    {}", paint(QUIET, harmless(headline))));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ukci_schema::diagnosis::Code;
    use ukci_schema::verdict::VerdictKind;

    use super::*;

    #[test]
    fn what_changed_stands_below_its_version() {
        let line = |version: &str, verdict, code, insns: u64, changes: &[&str]| VersionOutcome {
            kernel: format!("debian-12-6.1@{version}"),
            version: version.to_owned(),
            release: String::new(),
            built: Some("2026-06-20".into()),
            verdict,
            code,
            headline: Some("ring buffers are\u{1b}[2J unknown".into()),
            insns: [("p".to_owned(), insns)].into(),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
            evidence: String::new(),
        };
        let lines = [
            line("6.1.9-1", VerdictKind::Pass, None, 1234, &[]),
            line(
                "6.1.192-1",
                VerdictKind::Fail,
                Some(Code::MapRefused),
                0,
                &["pass became fail"],
            ),
            line(
                "6.1.192-2",
                VerdictKind::Fail,
                Some(Code::MapRefused),
                0,
                &[],
            ),
        ];
        insta::assert_snapshot!(&*table(&lines).plain());
    }
}
