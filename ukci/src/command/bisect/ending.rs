//! What a bisection ends with: the two versions side by side, and what is different between them.

use std::collections::BTreeSet;
use std::path::Path;

use ukci_harness::bisection::Bisection;
use ukci_harness::catalogue::Catalogue;
use ukci_harness::render::harmless;
use ukci_harness::version_outcome::VersionOutcome;
use ukci_schema::lock::LockedKernel;

use super::{Search, commits, config_change, indented, number, write};
use crate::args::bisect::Bisect;
use crate::diagnostic::Failure;
use crate::lock_file;
use crate::output::{STRONG, paint};
use crate::stdout::show as print;
use crate::text::{Side, Text, text};
use crate::versions;

/// Most lines that are printed of a difference. The rest is in its file.
const MOST_LINES: usize = 40;

/// Prints the end of a search.
pub(super) fn show(bisect: &Bisect, search: &Search<'_>, row: &Bisection) -> Result<(), Failure> {
    let (good, bad) = row.found();
    let (before, after) = (&search.outcomes[&good], &search.outcomes[&bad]);
    let mut text = headline(search, good, bad);
    text.push_line(&"".into());
    let width = before.version.len().max(after.version.len());
    for (word, line) in [("good", before), ("bad", after)] {
        let mut row = text!(
            "  {:<4}  {}  {}  {}  {}",
            word,
            Text::from(harmless(&line.version)).aligned(Side::Left, width),
            harmless(line.built.as_deref().unwrap_or("-")),
            versions::verdict(line),
            versions::cost(line)
        );
        row.trim_end();
        text.push_line(&row);
        if let Some(headline) = &line.headline {
            text.push_line(&text!("        {}", harmless(headline)));
        }
        text.push_line(&text!("        {}", harmless(&line.evidence)));
    }
    section(&mut text, "What changed");
    text.push(&indented(after.changes_since(before).into_iter()));
    let out = &search.settings.out;
    logs(&mut text, before, after, out)?;
    config(&mut text, search.pins[good], search.pins[bad], out)?;
    if let Some(repository) = &bisect.linux {
        let versions = [search.pins[good].version(), search.pins[bad].version()];
        let names = names(&[before, after]);
        let found = commits::between(repository, versions, &names)?;
        section(&mut text, "Commits of Linux");
        text.push(&found.text(MOST_LINES));
        write(out, "commits.txt", &found.lines())?;
    }
    print(search.output.fitting(text)).map(drop)
}

fn headline(search: &Search<'_>, good: usize, bad: usize) -> Text {
    let name = |place: usize| harmless(&search.pins[place].versioned_name());
    let which = if search.is_backward { "last" } else { "first" };
    if bad == good + 1 {
        return text!(
            "The {} bad version is {}.\n",
            which,
            paint(STRONG, name(bad))
        );
    }
    let mut text = text!(
        "The {} bad version is one of these {}. Only {} gave an answer.\n",
        which,
        number(bad - good),
        paint(STRONG, name(bad))
    );
    let names = (good + 1..=bad).map(|place| search.pins[place].versioned_name());
    text.push(&indented(names));
    text
}

fn section(text: &mut Text, title: &'static str) {
    text.push_line(&text!("\n{}", paint(STRONG, title)));
}

/// The differences of the verifier's logs, program by program.
fn logs(
    text: &mut Text,
    before: &VersionOutcome,
    after: &VersionOutcome,
    out: &Path,
) -> Result<(), Failure> {
    let logs = |line: &VersionOutcome| {
        let directory = Path::new(&line.evidence).join("verifier");
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect::<BTreeSet<String>>()
    };
    let names: BTreeSet<String> = logs(before).into_iter().chain(logs(after)).collect();
    let mut whole = String::new();
    for name in &names {
        let read = |line: &VersionOutcome| {
            let path = Path::new(&line.evidence).join("verifier").join(name);
            timeless(&String::from_utf8_lossy(
                &std::fs::read(path).unwrap_or_default(),
            ))
        };
        let (was, is) = (read(before), read(after));
        let heads = [before, after].map(|line| format!("{} {name}", line.version));
        let difference = similar::TextDiff::from_lines(&was, &is);
        let mut unified = difference.unified_diff();
        whole.push_str(&unified.header(&heads[0], &heads[1]).to_string());
    }
    section(text, "Difference of the verifier's logs");
    if whole.is_empty() {
        text.push_line(&"  none".into());
        return Ok(());
    }
    write(out, "verifier.diff", &whole)?;
    text.push(&cut(&whole, &out.join("verifier.diff")));
    Ok(())
}

/// A log without the time that the verifier took, which differs every time.
fn timeless(log: &str) -> String {
    let lines = log.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("verification time "))
        .collect()
}

/// The first lines of a text, and where the rest is.
fn cut(whole: &str, file: &Path) -> Text {
    let lines = whole.lines().count();
    let mut text = indented(whole.lines().take(MOST_LINES).map(ToOwned::to_owned));
    if lines > MOST_LINES {
        text.push_line(&text!(
            "  … {} more lines are in {}",
            number(lines - MOST_LINES),
            harmless(&file.display().to_string())
        ));
    }
    text
}

/// The differences of the kernels' configurations.
fn config(
    text: &mut Text,
    before: &LockedKernel,
    after: &LockedKernel,
    out: &Path,
) -> Result<(), Failure> {
    section(text, "Changes of the configuration");
    let catalogue = lock_file::catalogue()?;
    let both = [before, after].map(|kernel| read_config(&catalogue, kernel));
    let [Some(was), Some(is)] = both else {
        text.push_line(&"  unknown: the configuration of a version is not there".into());
        return Ok(());
    };
    let changes = config_change::between(&was, &is);
    if changes.is_empty() {
        text.push_line(&"  none".into());
        return Ok(());
    }
    let whole = changes.join("\n") + "\n";
    write(out, "config.diff", &whole)?;
    text.push(&cut(&whole, &out.join("config.diff")));
    Ok(())
}

/// The configuration that the store has of a kernel, which has just been booted.
fn read_config(catalogue: &Catalogue, kernel: &LockedKernel) -> Option<String> {
    let prepared = catalogue.prepare(kernel, &|_| {}).ok()?;
    let directory = prepared.kernel.image.path.parent()?;
    let text = std::fs::read(directory.join("config")).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// What looks like the names of the kernel's functions in the diagnoses.
fn names(lines: &[&VersionOutcome]) -> BTreeSet<String> {
    let quoted = lines.iter().filter_map(|line| line.headline.as_deref());
    let quoted = quoted.flat_map(|headline| headline.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| {
        name.contains('_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    quoted.filter(is_name).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use ukci_schema::verdict::VerdictKind;

    use super::*;

    #[test]
    fn only_names_of_functions_are_looked_for() {
        let line = VersionOutcome {
            kernel: String::new(),
            version: String::new(),
            release: String::new(),
            built: None,
            verdict: VerdictKind::Fail,
            code: None,
            headline: Some(
                "`handle` needs the kfunc `bpf_iter_bits_new`, not in `6.1.0-1`, `a b_c`".into(),
            ),
            insns: std::collections::BTreeMap::new(),
            changes: Vec::new(),
            evidence: String::new(),
        };
        let found: Vec<String> = names(&[&line]).into_iter().collect();
        assert_eq!(found, ["bpf_iter_bits_new"]);
    }

    #[test]
    fn the_time_that_the_verifier_took_is_no_difference() {
        let log = "verification time 35566 usec\nstack depth 8\nprocessed 2516 insns\n";
        assert_eq!(timeless(log), "stack depth 8\nprocessed 2516 insns\n");
    }

    #[test]
    fn a_long_difference_is_cut_and_its_file_is_named() {
        let whole = "a\n".repeat(MOST_LINES + 5);
        let text = cut(&whole, Path::new("out/verifier.diff"));
        assert_eq!(text.lines().count(), MOST_LINES + 1);
        assert!(
            text.ends_with("… 5 more lines are in out/verifier.diff\n"),
            "{}",
            &*text
        );
    }
}
