//! `guest/tests/casebook/results.tsv`: what every case was judged to be on every kernel, as the last
//! whole run gave it. `docs/casebook.md` shows it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::case::root;

/// Verdict and code by case and kernel.
pub(crate) type Results = BTreeMap<(String, String), (String, String)>;

const HEAD: &str = "case\tkernel\tverdict\tcode\n";

fn path() -> PathBuf {
    root().join("guest/tests/casebook/results.tsv")
}

/// The results that are kept.
pub(crate) fn kept() -> Results {
    let text = std::fs::read_to_string(path()).unwrap();
    let rows = text.strip_prefix(HEAD).expect("results.tsv has its head");
    let row = |line: &str| {
        let [case, kernel, verdict, code] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("results.tsv: `{line}` has not four columns");
        };
        let of = (case.to_owned(), kernel.to_owned());
        (of, (verdict.to_owned(), code.to_owned()))
    };
    rows.lines().map(row).collect()
}

/// Keeps these, and of what is kept already all that they say nothing of.
pub(crate) fn keep(new: Results) {
    let mut results = kept();
    results.extend(new);
    let mut text = HEAD.to_owned();
    for ((case, kernel), (verdict, code)) in &results {
        let _ = writeln!(text, "{case}\t{kernel}\t{verdict}\t{code}");
    }
    std::fs::write(path(), text).unwrap();
}

/// Where a run differs from what is kept, a line each.
pub(crate) fn changes(run: &Results) -> Vec<String> {
    let kept = kept();
    let mut changes = Vec::new();
    for (of, (verdict, code)) in run {
        let (case, kernel) = of;
        match kept.get(of) {
            None => changes.push(format!(
                "{case} on {kernel}: {verdict} {code} is new: UKCI_UPDATE=1 keeps it"
            )),
            Some((was, why)) if (was, why) != (verdict, code) => changes.push(format!(
                "{case} on {kernel}: {verdict} {code}, was {was} {why}"
            )),
            Some(_) => {}
        }
    }
    changes
}
