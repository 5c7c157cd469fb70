//! What is blessed is run again: against the same report, no outcome is unexpected.

use super::{Blessed, Why, bless};
use crate::groups::KnownKernel;
use crate::matrix::Matrix;
use ukci_schema::artifact::Form;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::diagnosis::Code;
use ukci_schema::report::Report;
use ukci_schema::verdict::{Expectation, Outcome, VerdictKind};

/// A report with these cells: artifact, kernel, LLVM, architecture, and how each failed.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    Arch,
    Option<(Code, &'static str)>,
);

fn report(rows: &[Row]) -> Report {
    let text = include_str!("../../../../tests/fixtures/report.json");
    let mut report: Report = serde_json::from_str(text).unwrap();
    let failed = report
        .cells
        .iter()
        .find(|c| c.diagnosis.is_some())
        .unwrap()
        .clone();
    let named = report.artifacts[0].clone();
    report.artifacts.clear();
    report.cells.clear();
    for &(artifact, kernel, llvm, arch, said) in rows {
        if !report.artifacts.iter().any(|known| known.name == artifact) {
            let mut new = named.clone();
            new.name = artifact.to_owned();
            new.form = if llvm.is_some() {
                Form::Source
            } else {
                Form::Object
            };
            report.artifacts.push(new);
        }
        let mut cell = failed.clone();
        cell.artifact = artifact.to_owned();
        cell.kernel = kernel.to_owned();
        cell.llvm = llvm.map(str::to_owned);
        cell.arch = arch;
        cell.id = super::cell_of(&cell).id();
        cell.expected = Expectation::default();
        if let Some((code, headline)) = said {
            let diagnosis = cell.diagnosis.as_mut().unwrap();
            diagnosis.code = code;
            diagnosis.headline = headline.to_owned();
            (cell.verdict, cell.outcome) = (VerdictKind::Fail, Outcome::Fail);
        } else {
            cell.diagnosis = None;
            (cell.verdict, cell.outcome) = (VerdictKind::Pass, Outcome::Pass);
        }
        report.cells.push(cell);
    }
    report
}

/// Blesses, expands the matrix that comes of it for the same artifacts, and returns the ids of the
/// cells whose expectation is not what the report has.
fn unexpected(matrix: &str, report: &Report, told: &[Code]) -> (Blessed, Vec<String>) {
    let blessed = bless(matrix, "m.toml", report, told).unwrap();
    assert!(blessed.text.starts_with(matrix), "what was there stays");
    let kernels: Vec<(&str, Arch)> = report
        .cells
        .iter()
        .map(|c| (c.kernel.as_str(), c.arch))
        .collect();
    let known: Vec<KnownKernel<'_>> = kernels
        .iter()
        .map(|&(name, arch)| KnownKernel {
            name,
            arch,
            version: None,
            is_verified: true,
        })
        .collect();
    let expansion = Matrix::parse(&blessed.text, "m.toml")
        .unwrap()
        .expand(&report.artifacts, &known)
        .unwrap();
    assert_eq!(expansion.warnings, Vec::<String>::new());
    let mut wrong = Vec::new();
    for cell in &report.cells {
        let of = super::cell_of(cell);
        // A matrix without LLVMs gives its cells the newest of the host, or those of `--llvm`.
        let any_llvm = Cell {
            llvm: None,
            ..of.clone()
        };
        let planned = expansion
            .cells
            .iter()
            .find(|p| p.cell == of || p.cell == any_llvm);
        let expected = &planned.unwrap().expected;
        if (expected.verdict, expected.code) != (cell.verdict, cell.code()) {
            wrong.push(cell.id.clone());
        }
    }
    (blessed, wrong)
}

const X: Arch = Arch::X86_64;
const A: Arch = Arch::Aarch64;
const LOOP: (Code, &str) = (
    Code::UnsupportedHelper,
    "`bpf_loop` is \"new\": not in\tthis kernel",
);
const MAP: (Code, &str) = (Code::UnsupportedMapType, "bloom_filter maps came with 5.16");

#[test]
fn kernels_that_fail_alike_share_a_rule_and_only_named_axes_are_named() {
    let rows = [
        ("loop", "k5.10", Some("19"), X, Some(LOOP)),
        ("loop", "k6.1", Some("19"), X, Some(LOOP)),
        ("loop", "k6.12", Some("19"), X, None),
        ("map", "k5.10", Some("19"), X, Some(MAP)),
        ("map", "k6.1", Some("19"), X, None),
        ("map", "k6.12", Some("19"), X, None),
    ];
    let matrix = "# by hand\n[[cells]]\nkernels = [\"k5.10\", \"k6.1\", \"k6.12\"]\n";
    let (blessed, wrong) = unexpected(matrix, &report(&rows), &[]);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((blessed.cells.len(), blessed.refused.len()), (3, 0));
    insta::assert_snapshot!("kernels_that_fail_alike", blessed.text);
    // A second run blesses nothing more.
    let mut again = report(&rows);
    for cell in again
        .cells
        .iter_mut()
        .filter(|cell| cell.verdict == VerdictKind::Fail)
    {
        cell.outcome = Outcome::Xfail;
    }
    assert_eq!(
        bless(&blessed.text, "m.toml", &again, &[]).unwrap().text,
        blessed.text
    );
}

#[test]
fn axes_that_the_matrix_names_tell_cells_apart() {
    let matrix = "[[cells]]\nkernels = [\"k5.10\", \"k6.1\"]\nllvms = [\"14\", \"19\"]\narches = [\"x86_64\", \"aarch64\"]\n";
    let mut rows: Vec<Row> = Vec::new();
    for kernel in ["k5.10", "k6.1"] {
        for llvm in ["14", "19"] {
            for arch in [X, A] {
                let fails = kernel == "k5.10" || (llvm == "14" && arch == X);
                rows.push(("loop", kernel, Some(llvm), arch, fails.then_some(LOOP)));
            }
        }
    }
    let (blessed, wrong) = unexpected(matrix, &report(&rows), &[]);
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(blessed.cells.len(), 5);
    insta::assert_snapshot!("axes_that_tell_apart", blessed.text);
}

#[test]
fn what_says_nothing_of_a_kernel_is_blessed_only_if_told() {
    let matrix = "[[cells]]\nkernels = \"k*\"\n";
    let size = Some((Code::LoaderContract, "map `m` has no size"));
    let compiler = Some((Code::CompileError, "unknown type name `u32`"));
    let report = report(&[
        ("object", "k5.10", None, X, size),
        ("object", "k6.1", None, X, Some(LOOP)),
        ("source", "k5.10", Some("19"), X, compiler),
        ("source", "k6.1", Some("19"), X, compiler),
    ]);
    let (blessed, wrong) = unexpected(matrix, &report, &[]);
    assert_eq!(blessed.cells, ["object/k6.1/x86_64"]);
    assert_eq!(wrong.len(), 3);
    assert!(
        blessed
            .refused
            .iter()
            .all(|refused| refused.why == Why::NotOfAKernel)
    );
    let (blessed, wrong) = unexpected(matrix, &report, &[Code::LoaderContract]);
    assert_eq!((blessed.cells.len(), wrong.len()), (2, 2));
    let (_, wrong) = unexpected(matrix, &report, &super::NOT_OF_A_KERNEL);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_failure_that_only_an_axis_tells_apart_which_the_matrix_does_not_name_is_not_blessed() {
    let matrix = "[[cells]]\nkernels = \"k*\"\n";
    let rows = [
        ("loop", "k5.10", Some("14"), X, Some(LOOP)),
        ("loop", "k5.10", Some("19"), X, None),
        ("loop", "k6.1", Some("14"), X, Some(MAP)),
        ("loop", "k6.1", Some("19"), X, Some(MAP)),
    ];
    let (blessed, _) = unexpected(matrix, &report(&rows), &[]);
    assert_eq!(blessed.cells.len(), 2);
    let refused: Vec<(&str, Why)> = blessed
        .refused
        .iter()
        .map(|r| (r.cell.as_str(), r.why))
        .collect();
    assert_eq!(refused, [("loop/k5.10/x86_64/llvm-14", Why::NeedsAnAxis)]);
}
