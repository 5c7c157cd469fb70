//! Groups the cells that ended otherwise than expected by cause. Each cause appears once, with
//! every cell, artifact and program that it concerns.
//!
//! A report comes in, and a list of causes goes out, in the order in which people should read them.
//! Cells that met their expectation are not in it.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;
use ukci_judge::{advice, alike};
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use ukci_schema::plural::count;

/// The word for a cell that passed although a failure was expected.
const UNEXPECTED_PASS: &str = "unexpected pass";

/// One cause, in however many cells of however many artifacts.
#[derive(Clone, Debug)]
pub struct Cause<'a> {
    /// How the cells ended.
    pub outcome: Outcome,
    /// The code, or a word where there is none: `UNSUPPORTED_HELPER`, `no verdict`.
    pub code: &'static str,
    /// What is wrong, one sentence, as the first cell has it.
    pub headline: String,
    /// Where it was seen, in the report's order; the first stands for all. Never empty.
    pub seen: Vec<Seen<'a>>,
}

/// A cause in one cell.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// The cell.
    pub cell: &'a CellReport,
    /// Its diagnosis; `None` if ukci has no verdict, or where a failure was expected.
    pub diagnosis: Option<&'a Diagnosis>,
    /// The programs that it stops, in the object's order; `None` if it concerns the object as a
    /// whole.
    pub programs: Vec<&'a str>,
    /// The names that headlines of this cause differ in: the maps and programs of the object.
    pub names: Vec<&'a str>,
    /// Whether it decided the cell's verdict.
    pub decided: bool,
}

impl<'a> Cause<'a> {
    /// The cell that stands for all.
    pub fn first(&self) -> &Seen<'a> {
        &self.seen[0]
    }

    /// Whether it is the own loader's business: nothing was learned of the kernel.
    pub fn is_loader(&self) -> bool {
        self.code == Code::LoaderContract.name()
    }

    /// The artifacts, each once.
    pub fn artifacts(&self) -> Vec<&'a str> {
        let mut artifacts: Vec<&str> = Vec::new();
        for seen in &self.seen {
            if !artifacts.contains(&seen.cell.artifact.as_str()) {
                artifacts.push(&seen.cell.artifact);
            }
        }
        artifacts
    }

    /// Whether a required cell has it.
    pub fn is_required(&self) -> bool {
        self.seen.iter().any(|seen| seen.cell.required)
    }

    /// `in 3 cells`, or `in 25 cells of 5 objects`.
    pub fn count(&self) -> String {
        let cells = format!("in {}", count(self.seen.len(), "cell"));
        match self.artifacts().len() {
            1 => cells,
            n => format!("{cells} of {n} objects"),
        }
    }

    /// Where it was seen and nowhere else: `all 5 kernels`. With several artifacts, one line for
    /// those that have the same places: `a, b: all 5 kernels`.
    pub fn places(&self, axes: &Axes<'_>) -> Vec<String> {
        let cells: Vec<&CellReport> = self.seen.iter().map(|seen| seen.cell).collect();
        if self.artifacts().len() == 1 {
            return vec![axes.place(cells.into_iter())];
        }
        axes.lines(&cells)
    }

    /// The programs that it stops, each once and after its artifact where there are several.
    pub fn programs(&self) -> Vec<String> {
        let several = self.artifacts().len() > 1;
        let mut programs: Vec<String> = Vec::new();
        for seen in &self.seen {
            for program in &seen.programs {
                let name = if several {
                    format!("{}: {program}", seen.cell.artifact)
                } else {
                    (*program).to_owned()
                };
                if !programs.contains(&name) {
                    programs.push(name);
                }
            }
        }
        programs
    }

    /// The names that the headline stands for beside its own: the other maps of the same cause.
    pub fn other_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for seen in &self.seen {
            for name in &seen.names {
                let told = self.headline.contains(&format!("`{name}`"));
                if !told && !names.contains(name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

/// The axes of a report, to say `all 5 kernels` and to leave out an axis with one value.
#[derive(Clone, Debug)]
pub struct Axes<'a> {
    kernels: BTreeSet<&'a str>,
    arches: BTreeSet<Arch>,
    llvms: BTreeSet<&'a str>,
}

impl<'a> Axes<'a> {
    /// Those of all cells of a report.
    pub fn of(report: &'a Report) -> Self {
        let cells = report.cells.iter();
        Self {
            kernels: cells.clone().map(|cell| cell.kernel.as_str()).collect(),
            arches: cells.clone().map(|cell| cell.arch).collect(),
            llvms: cells.filter_map(|cell| cell.llvm.as_deref()).collect(),
        }
    }

    /// Cells of one or several artifacts: `a, b: all 5 kernels; c: x`.
    pub fn places(&self, cells: &[&CellReport]) -> String {
        self.lines(cells).join("; ")
    }

    /// One line for the artifacts that have the same places: `a, b: all 5 kernels`.
    fn lines(&self, cells: &[&CellReport]) -> Vec<String> {
        let mut artifacts: IndexMap<&str, Vec<&CellReport>> = IndexMap::new();
        for cell in cells {
            artifacts.entry(&cell.artifact).or_default().push(cell);
        }
        let mut places: IndexMap<String, Vec<&str>> = IndexMap::new();
        for (artifact, cells) in artifacts {
            let place = self.place(cells.into_iter());
            places.entry(place).or_default().push(artifact);
        }
        let line =
            |(place, artifacts): (String, Vec<&str>)| format!("{}: {place}", artifacts.join(", "));
        places.into_iter().map(line).collect()
    }

    /// `a, b with llvm-16 on x86_64; c with llvm-16 on aarch64`.
    fn place<'b>(&self, cells: impl Iterator<Item = &'b CellReport>) -> String {
        // From cells to lists: of LLVMs and external BTF, then of kernels that have the same of those,
        // then of architectures that have the same of both.
        let mut by_kernel: IndexMap<(&str, Arch), Vec<String>> = IndexMap::new();
        for cell in cells {
            let with = by_kernel.entry((&cell.kernel, cell.arch)).or_default();
            let llvm = cell.llvm.iter().filter(|_| self.llvms.len() > 1);
            with.extend(llvm.map(|llvm| format!("llvm-{llvm}")));
            with.extend(cell.btf_name().map(|btf| format!("btf-{btf}")));
        }
        let mut by_arch: IndexMap<(Arch, Vec<String>), Vec<&str>> = IndexMap::new();
        for ((kernel, arch), with) in by_kernel {
            by_arch.entry((arch, with)).or_default().push(kernel);
        }
        let mut places: IndexMap<(Vec<&str>, Vec<String>), Vec<String>> = IndexMap::new();
        for ((arch, with), kernels) in by_arch {
            let arches = places.entry((kernels, with)).or_default();
            arches.push(arch.to_string());
        }
        let said = places.iter().map(|((kernels, with), arches)| {
            let mut text = self.kernels(kernels);
            if !with.is_empty() {
                text.push_str(&format!(" with {}", with.join(", ")));
            }
            if self.arches.len() > 1 {
                text.push_str(&format!(" on {}", arches.join(", ")));
            }
            text
        });
        said.collect::<Vec<_>>().join("; ")
    }

    /// The number of kernels of a report, if a cause is the same on all of them and they are several.
    pub fn everywhere(&self, report: &Report, cause: &Cause<'_>) -> Option<usize> {
        let artifacts = cause.artifacts();
        let of_artifacts = |cell: &&CellReport| artifacts.contains(&cell.artifact.as_str());
        let cells = report.cells.iter().filter(of_artifacts).count();
        let kernels: BTreeSet<&str> = (cause.seen.iter())
            .map(|seen| seen.cell.kernel.as_str())
            .collect();
        (cells == cause.seen.len() && kernels.len() > 1 && kernels == self.kernels)
            .then_some(kernels.len())
    }

    fn kernels(&self, kernels: &[&str]) -> String {
        if kernels.len() > 1 && kernels.len() == self.kernels.len() {
            return format!("all {} kernels", kernels.len());
        }
        kernels.join(", ")
    }
}

/// What makes two findings one cause: the outcome, the code, and the headline without the names of
/// the object's own maps and programs, in the words that all kernels share.
type Key = (Outcome, &'static str, String);

/// Everything that must be told after a run, each cause once. Refusals by kernels come first: those that
/// no rule knows, then those in most cells before others; then unexpected passes, errors of ukci, what is the own loader's
/// business, and skips.
pub fn causes(report: &Report) -> Vec<Cause<'_>> {
    let mut causes: IndexMap<Key, Cause<'_>> = IndexMap::new();
    let mut known: HashMap<Advised<'_>, Key> = HashMap::new();
    for cell in report.cells.iter().filter(|cell| !cell.outcome.is_met()) {
        for finding in findings(cell) {
            let (generic, names) = generic(&finding.headline, cell);
            let key = (cell.outcome, finding.code, alike(&generic));
            let key = match advised(cell, &finding) {
                Some(advised) => known.entry(advised).or_insert(key).clone(),
                None => key,
            };
            let cause = causes.entry(key).or_insert_with(|| Cause {
                outcome: cell.outcome,
                code: finding.code,
                headline: finding.headline.clone(),
                seen: Vec::new(),
            });
            match cause.seen.last_mut().filter(|seen| seen.cell.id == cell.id) {
                Some(seen) => seen.add(&finding, names),
                None => cause.seen.push(Seen {
                    cell,
                    diagnosis: finding.diagnosis,
                    programs: Vec::from_iter(finding.program),
                    names,
                    decided: finding.decided,
                }),
            }
        }
    }
    let mut causes: Vec<Cause<'_>> = causes.into_values().collect();
    causes.sort_by_key(|cause| {
        let rank = match cause.outcome {
            Outcome::Fail if cause.is_loader() => 3,
            Outcome::Fail => 0,
            Outcome::Xpass => 1,
            Outcome::Error => 2,
            _ => 4,
        };
        let decided = cause.seen.iter().any(|seen| seen.decided);
        // What no rule knows is always worth a report, however rare it is.
        let known = cause.code != Code::Unclassified.name();
        (rank, !decided, known, std::cmp::Reverse(cause.seen.len()))
    });
    causes
}

/// One program of an artifact and the advice for it: what is alike of a cause that two kernels tell in
/// different words.
type Advised<'a> = (Outcome, &'a str, Code, &'a str, &'a str);

fn advised<'a>(cell: &'a CellReport, finding: &Finding<'a>) -> Option<Advised<'a>> {
    let diagnosis = finding.diagnosis?;
    let program = diagnosis.program.as_deref()?;
    let advice = advice(diagnosis)?;
    Some((
        cell.outcome,
        &cell.artifact,
        diagnosis.code,
        program,
        advice,
    ))
}

/// One thing that a cell has to tell.
struct Finding<'a> {
    code: &'static str,
    headline: String,
    diagnosis: Option<&'a Diagnosis>,
    program: Option<&'a str>,
    decided: bool,
}

impl<'a> Seen<'a> {
    /// Takes in another finding of the same cause in the same cell.
    fn add(&mut self, finding: &Finding<'a>, names: Vec<&'a str>) {
        if let Some(program) = finding.program
            && !self.programs.contains(&program)
        {
            self.programs.push(program);
        }
        for name in names {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
        self.decided |= finding.decided;
    }
}

/// The cell's own finding, then those of its programs.
fn findings(cell: &CellReport) -> Vec<Finding<'_>> {
    let (code, headline) = describe(cell);
    let mut findings = vec![Finding {
        code,
        headline,
        diagnosis: cell.diagnosis.as_ref(),
        program: cell.diagnosis.as_ref().and_then(|of| of.program.as_deref()),
        decided: true,
    }];
    if cell.outcome != Outcome::Fail {
        return findings;
    }
    // A refusal that a manifest expects of one program is no news.
    let news = cell
        .programs
        .iter()
        .filter(|program| program.outcome.is_none_or(|outcome| !outcome.is_met()));
    for program in news {
        let Some(diagnosis) = &program.diagnosis else {
            continue;
        };
        findings.push(Finding {
            code: diagnosis.code.name(),
            headline: diagnosis.headline.clone(),
            diagnosis: Some(diagnosis),
            program: Some(&program.name),
            decided: false,
        });
    }
    findings
}

/// A headline without the names, between backticks, of the object's own programs and maps; and
/// those names.
fn generic<'a>(headline: &str, cell: &'a CellReport) -> (String, Vec<&'a str>) {
    let own = |part: &str| {
        let programs = cell.programs.iter().map(|program| program.name.as_str());
        let maps = cell.maps.iter().map(|map| map.name.as_str());
        programs.chain(maps).find(|name| *name == part)
    };
    let (mut text, mut names) = (String::new(), Vec::new());
    for (n, part) in headline.split('`').enumerate() {
        if n > 0 {
            text.push('`');
        }
        match own(part).filter(|_| n % 2 == 1) {
            Some(name) => {
                text.push('…');
                names.push(name);
            }
            None => text.push_str(part),
        }
    }
    (text, names)
}

fn describe(cell: &CellReport) -> (&'static str, String) {
    if let Some(diagnosis) = &cell.diagnosis {
        return (diagnosis.code.name(), diagnosis.headline.clone());
    }
    if let Some(fault) = &cell.fault {
        let code = fault.code.map_or("no verdict", Code::name);
        return (code, fault.headline.clone());
    }
    if cell.outcome != Outcome::Xpass {
        return ("skipped", cell.reason.clone().unwrap_or_default());
    }
    let stale = cell
        .programs
        .iter()
        .find(|p| p.outcome == Some(Outcome::Xpass));
    let program =
        stale.and_then(|program| Some((program.name.as_str(), program.expected.as_ref()?)));
    let expected = program.map_or(&cell.expected, |(_, expected)| expected);
    let subject = program.map_or_else(
        || "the object".to_owned(),
        |(name, _)| format!("program `{name}`"),
    );
    let reason = expected.reason.as_deref().unwrap_or("no reason is given");
    let with = (expected.code).map_or_else(String::new, |code| format!(" with {code}"));
    (
        UNEXPECTED_PASS,
        format!("{subject} passed, but was expected to fail{with} ({reason})"),
    )
}
