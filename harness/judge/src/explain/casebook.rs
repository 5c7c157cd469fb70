//! Formats the casebook's last run as Markdown tables: the verdict on every case on every kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use ukci_schema::diagnosis::Code;
use ukci_schema::history;

/// The groups of cases, by the prefix of their names.
const GROUPS: &[(&str, &str)] = &[
    ("type_", "Program types"),
    ("code_", "Codes"),
    ("blog_", "What maintainers met"),
    ("peer_", "What others get wrong"),
    ("behavior_", "What objects do"),
    ("edge_", "Edges"),
    ("trap_", "Traps"),
    ("verifier_", "What the verifier rejects"),
    ("manifest_", "With a manifest"),
];

/// What a case is judged to be on each kernel, the cell's text of a table.
type Answers<'a> = BTreeMap<&'a str, String>;

/// Tables of `results`, the text of `guest/tests/casebook/results.tsv`: a head, then lines of case,
/// kernel, verdict and code. Lines that are not so are left out: a test reads the file strictly.
pub(super) fn tables(results: &str) -> String {
    // Kernels of other architectures than x86-64 are named with theirs, `debian-13-6.12/riscv64`.
    let (mut cases, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    for line in results.lines().skip(1) {
        let [case, kernel, verdict, code] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let of: &mut BTreeMap<&str, Answers> = if kernel.contains('/') {
            &mut elsewhere
        } else {
            &mut cases
        };
        (of.entry(case).or_default()).insert(kernel, answer(verdict, code));
    }
    let mut text = String::new();
    for (prefix, title) in GROUPS {
        table(&mut text, title, &cases, prefix);
    }
    table(&mut text, "Other architectures", &elsewhere, "");
    text
}

/// The table of the cases whose name begins with `prefix`, if there are any: a column for every
/// kernel of `cases`, the oldest first.
fn table(text: &mut String, title: &str, cases: &BTreeMap<&str, Answers>, prefix: &str) {
    if !cases.keys().any(|case| case.starts_with(prefix)) {
        return;
    }
    let kernels: BTreeSet<&str> = cases.values().flat_map(Answers::keys).copied().collect();
    let mut kernels: Vec<&str> = kernels.into_iter().collect();
    kernels.sort_by_key(|kernel| history::series(series(kernel)));
    let _ = write!(text, "\n## {title}\n\n| Case |");
    for kernel in &kernels {
        let arch = kernel.split_once('/').map(|(_, arch)| format!(" {arch}"));
        let _ = write!(text, " {}{} |", series(kernel), arch.unwrap_or_default());
    }
    let _ = writeln!(text, "\n|---|{}", "---|".repeat(kernels.len()));
    for (case, answers) in cases.iter().filter(|(case, _)| case.starts_with(prefix)) {
        let _ = write!(text, "| [`{case}`](../guest/tests/casebook/{case}.toml) |");
        for kernel in &kernels {
            let answer = answers.get(kernel).map_or("", String::as_str);
            let _ = write!(text, " {answer} |");
        }
        text.push('\n');
    }
}

/// `pass`, `skip`, a failure's code, `error` with its code.
fn answer(verdict: &str, code: &str) -> String {
    let known = Code::ALL.iter().find(|known| known.name() == code);
    let link = known.map(|code| format!("[{code}](diagnoses.md#{})", code.name().to_lowercase()));
    match (verdict, link) {
        ("fail", Some(link)) => link,
        (_, Some(link)) => format!("{verdict}: {link}"),
        (_, None) => verdict.to_owned(),
    }
}

/// `6.1` of `debian-12-6.1-cloud` and of `debian-12-6.1/riscv64`.
fn series(kernel: &str) -> &str {
    kernel.split(['-', '/']).nth(2).unwrap_or(kernel)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_table_has_a_row_a_case_and_a_column_a_kernel_oldest_first() {
        let results = "case\tkernel\tverdict\tcode\n\
                       type_xdp\tdebian-13-6.12-cloud\tpass\t-\n\
                       type_xdp\tdebian-12-6.1-cloud\tfail\tATTACH_REFUSED\n\
                       blog_y\tdebian-13-6.12/riscv64\tpass\t-\n\
                       code_x\tdebian-12-6.1-cloud\terror\tGUEST_RESOURCES\n\
                       not a row\n";
        insta::assert_snapshot!(super::tables(results));
    }
    /// A case of no group would be in no table.
    #[test]
    fn every_case_is_of_a_group() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../guest/tests/casebook/results.tsv"
        );
        let results = std::fs::read_to_string(path).unwrap();
        for case in results.lines().skip(1) {
            let known = super::GROUPS
                .iter()
                .any(|(prefix, _)| case.starts_with(prefix));
            assert!(known, "{case}");
        }
    }
}
