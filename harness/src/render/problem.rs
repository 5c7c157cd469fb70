//! What went otherwise than expected, each problem once with all its cells.

use indexmap::IndexMap;
use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

/// Cells of one artifact that ended alike, for one reason.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// The artifact.
    pub artifact: &'a str,
    /// How they ended.
    pub outcome: Outcome,
    /// The code, or a word where there is none: `UNSUPPORTED_HELPER`, `no verdict`.
    pub code: &'static str,
    /// What is wrong, one sentence.
    pub headline: String,
    /// The cells, in the report's order; the first stands for all.
    pub cells: Vec<&'a CellReport>,
}

impl Problem<'_> {
    /// `a, b with llvm-16 on x86_64; c with llvm-16 on aarch64`: where it happens, and nowhere else.
    pub fn place(&self) -> String {
        // From cells to lists: of LLVMs, then of kernels that have the same of those, then of
        // architectures that have the same of both.
        let mut by_kernel: IndexMap<(&str, Arch), Vec<&str>> = IndexMap::new();
        for cell in &self.cells {
            let llvms = by_kernel.entry((&cell.kernel, cell.arch)).or_default();
            llvms.extend(cell.llvm.as_deref());
        }
        let mut by_arch: IndexMap<(Arch, Vec<&str>), Vec<&str>> = IndexMap::new();
        for ((kernel, arch), llvms) in by_kernel {
            by_arch.entry((arch, llvms)).or_default().push(kernel);
        }
        let mut places: IndexMap<(Vec<&str>, Vec<&str>), Vec<String>> = IndexMap::new();
        for ((arch, llvms), kernels) in by_arch {
            let arches = places.entry((kernels, llvms)).or_default();
            arches.push(arch.to_string());
        }
        let said = places.iter().map(|((kernels, llvms), arches)| {
            let llvms: Vec<String> = llvms.iter().map(|llvm| format!("llvm-{llvm}")).collect();
            let with = if llvms.is_empty() { "" } else { " with " };
            let (kernels, arches) = (kernels.join(", "), arches.join(", "));
            format!("{kernels}{with}{} on {arches}", llvms.join(", "))
        });
        said.collect::<Vec<_>>().join("; ")
    }

    /// `in 3 cells`.
    pub fn count(&self) -> String {
        match self.cells.len() {
            1 => "in 1 cell".into(),
            n => format!("in {n} cells"),
        }
    }
}

/// Everything that must be told after a run: failures first, then what has no verdict. Expected
/// failures and passes are no problems.
pub fn problems(report: &Report) -> Vec<Problem<'_>> {
    let mut problems: Vec<Problem<'_>> = Vec::new();
    for cell in report.cells.iter().filter(|cell| !cell.outcome.is_met()) {
        let (code, headline) = describe(cell);
        let known = problems.iter_mut().find(|problem| {
            problem.artifact == cell.artifact
                && problem.outcome == cell.outcome
                && problem.code == code
                && problem.headline == headline
        });
        match known {
            Some(problem) => problem.cells.push(cell),
            None => problems.push(Problem {
                artifact: &cell.artifact,
                outcome: cell.outcome,
                code,
                headline,
                cells: vec![cell],
            }),
        }
    }
    problems.sort_by_key(|problem| match problem.outcome {
        Outcome::Fail => 0,
        Outcome::Xpass => 1,
        Outcome::Error => 2,
        _ => 3,
    });
    problems
}

fn describe(cell: &CellReport) -> (&'static str, String) {
    if let Some(diagnosis) = &cell.diagnosis {
        return (diagnosis.code.name(), diagnosis.headline.clone());
    }
    if let Some(fault) = &cell.fault {
        let code = fault
            .code
            .map_or("no verdict", ukci_schema::diagnosis::Code::name);
        return (code, fault.headline.clone());
    }
    let stale = cell
        .programs
        .iter()
        .find(|p| p.outcome == Some(Outcome::Xpass));
    if let Some(program) = stale.filter(|_| cell.outcome == Outcome::Xpass) {
        let expected = program.expected.as_ref();
        let code = expected.and_then(|e| e.code);
        let reason = expected.and_then(|e| e.reason.as_deref());
        return (
            code.map_or("unexpected pass", ukci_schema::diagnosis::Code::name),
            format!(
                "program `{}` passes, and a failure is expected ({})",
                program.name,
                reason.unwrap_or("no reason is given")
            ),
        );
    }
    match cell.outcome {
        Outcome::Xpass => {
            let reason = cell
                .expected
                .reason
                .as_deref()
                .unwrap_or("no reason is given");
            let code = cell
                .expected
                .code
                .map_or("unexpected pass", ukci_schema::diagnosis::Code::name);
            (
                code,
                format!("it passes, and a failure is expected ({reason})"),
            )
        }
        _ => ("skipped", cell.reason.clone().unwrap_or_default()),
    }
}

/// The command that runs a cell again alike, `ukci` first.
pub fn again(report: &Report, cell: &CellReport) -> String {
    let artifact = report
        .artifacts
        .iter()
        .find(|artifact| artifact.name == cell.artifact);
    let path = artifact.map_or(cell.artifact.as_str(), |artifact| artifact.path.as_str());
    let asked = &report.run.asked;
    let named = ["--kernel".to_owned(), cell.kernel.clone()];
    let kernel = (asked.kernels.get(&cell.kernel)).map_or(named.as_slice(), Vec::as_slice);
    // A plan has its artifacts.
    let is_planned = asked.options.iter().any(|option| option == "--plan");
    let manifest = artifact.and_then(|artifact| artifact.manifest.as_ref());
    let manifest = manifest.filter(|_| !is_planned);
    let manifest = manifest.map(|of| ["--manifest".to_owned(), of.path.clone()]);
    let artifact = (!is_planned).then(|| path.to_owned());
    // A kernel by name is run on x86_64; the user's own says itself what it is for.
    let others = report
        .cells
        .iter()
        .any(|other| other.kernel == cell.kernel && other.arch != cell.arch);
    let named = (cell.arch != Arch::X86_64 || others) && !asked.kernels.contains_key(&cell.kernel);
    let arch = ["--arch".to_owned(), cell.arch.to_string()];
    let arch = if named { arch.as_slice() } else { &[] };
    let words = artifact.iter().chain(kernel).chain(arch);
    let llvm = cell.llvm.iter();
    let llvm: Vec<String> = llvm
        .flat_map(|llvm| ["--llvm".into(), llvm.clone()])
        .collect();
    let words = words.chain(&llvm).chain(manifest.iter().flatten());
    let words = words.chain(&asked.options);
    let quoted: Vec<String> = words.map(|word| quote(word)).collect();
    format!("ukci check {}", quoted.join(" "))
}

/// As a shell reads it back.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+:@%=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
