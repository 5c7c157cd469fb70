//! Shows the verifier's work on each program, cell by cell, with kernels and LLVMs side by side.

use std::collections::BTreeMap;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use ukci_schema::budget::{Budget, Overrun, growth_percent};
use ukci_schema::evidence::{StepOutcome, VerifierStats};
use ukci_schema::report::{CellReport, Report};

use super::Shown;
use super::table::{Side, Table, grouped, share};

/// One program in one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The artifact.
    pub artifact: String,
    /// The program.
    pub program: String,
    /// The kernel's name.
    pub kernel: String,
    /// The architecture.
    pub arch: ukci_schema::cell::Arch,
    /// LLVM major; none for a prebuilt object.
    pub llvm: Option<String>,
    /// Whether the verifier accepted it. A refused program's figures are of where it stopped.
    pub accepted: bool,
    /// What the verifier counted.
    pub verifier: VerifierStats,
    /// Instructions that the baseline has for it.
    pub before: Option<u64>,
}

/// The programs of these reports that the verifier looked at: first the program that comes closest
/// to the verifier's limit anywhere, and the rows of a program in the order of the cells. Where two
/// reports have a cell, the later one's counts.
pub fn verifier_rows(reports: &[Report], baseline: Option<&Report>) -> Vec<Row> {
    let mut cells: Vec<&CellReport> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for cell in reports.iter().flat_map(|report| &report.cells) {
        if let Some(&n) = places.get(cell.id.as_str()) {
            cells[n] = cell;
        } else {
            places.insert(&cell.id, cells.len());
            cells.push(cell);
        }
    }
    let baseline = baseline.into_iter().flat_map(|report| &report.cells);
    let before: HashMap<(&str, &str), u64> = baseline
        .flat_map(|cell| {
            cell.programs.iter().filter_map(|program| {
                let insns = program.verifier.as_ref()?.insns;
                Some(((cell.id.as_str(), program.name.as_str()), insns))
            })
        })
        .collect();
    // By program, in the order of their first appearance.
    let mut groups: Vec<Vec<Row>> = Vec::new();
    let mut group_of: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for cell in cells {
        for program in &cell.programs {
            let Some(stats) = program.verifier.as_ref().filter(|stats| stats.insns > 0) else {
                continue;
            };
            let key = (cell.artifact.as_str(), program.name.as_str());
            let group = *group_of.entry(key).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(Row {
                artifact: cell.artifact.clone(),
                program: program.name.clone(),
                kernel: match cell.btf_name() {
                    None => cell.kernel.clone(),
                    Some(btf) => format!("{} btf-{btf}", cell.kernel),
                },
                arch: cell.arch,
                llvm: cell.llvm.clone(),
                accepted: program.load == StepOutcome::Ok,
                verifier: stats.clone(),
                before: before
                    .get(&(cell.id.as_str(), program.name.as_str()))
                    .copied(),
            });
        }
    }
    // Stable: programs that are alike stay in the order of the reports.
    groups.sort_by(|a, b| most(b).total_cmp(&most(a)));
    groups.into_iter().flatten().collect()
}

/// The largest share of the verifier's limit that a program took. A row without a limit is from a
/// kernel that did not say; one million instructions have been every kernel's since 5.2.
#[expect(clippy::cast_precision_loss, reason = "only compared")]
fn most(rows: &[Row]) -> f64 {
    let shares = rows.iter().map(|row| match row.verifier.limit {
        0 => row.verifier.insns as f64 / 1e6,
        limit => row.verifier.insns as f64 / limit as f64,
    });
    shares.fold(0.0, f64::max)
}

/// The rows of the first `programs` programs.
pub fn top(rows: &[Row], programs: usize) -> &[Row] {
    let groups = rows.chunk_by(is_same_program).take(programs);
    &rows[..groups.map(<[Row]>::len).sum()]
}

fn is_same_program(a: &Row, b: &Row) -> bool {
    (&a.artifact, &a.program) == (&b.artifact, &b.program)
}

/// One sentence for each program that is over `budget`.
pub fn over_budget(rows: &[Row], budget: &Budget) -> Vec<String> {
    rows.iter()
        .flat_map(|row| {
            let overruns = budget.overruns(row.verifier.insns, row.before);
            overruns.into_iter().map(move |overrun: Overrun| {
                format!(
                    "`{}` of {} on {}: {overrun}",
                    row.program,
                    row.artifact,
                    place(row)
                )
            })
        })
        .collect()
}

fn place(row: &Row) -> String {
    let mut place = format!("{}/{}", row.kernel, row.arch);
    if let Some(llvm) = &row.llvm {
        place.push_str(&format!("/llvm-{llvm}"));
    }
    place
}

/// The table for people.
pub fn verifier(rows: &Shown<Vec<Row>>) -> Shown<String> {
    let sections = sections(rows);
    let text = sections
        .iter()
        .map(|(title, table)| format!("{title}\n{}", table.text()))
        .collect::<Vec<String>>()
        .join("\n");
    Shown::rendered(text)
}

/// The table as Markdown.
pub fn verifier_markdown(rows: &Shown<Vec<Row>>) -> Shown<String> {
    let sections = sections(rows);
    let text = sections
        .iter()
        .map(|(title, table)| {
            format!(
                "### {}\n\n{}",
                super::markdown::escape(title),
                table.markdown()
            )
        })
        .collect::<Vec<String>>()
        .join("\n");
    Shown::rendered(text)
}

/// A table for each program; columns in which every field would be empty are left out.
fn sections(rows: &[Row]) -> Vec<(String, Table)> {
    let llvms = rows.iter().any(|row| row.llvm.is_some());
    let compared = rows.iter().any(|row| row.before.is_some());
    let mut head = vec![("kernel", Side::Left), ("arch", Side::Left)];
    if llvms {
        head.push(("llvm", Side::Right));
    }
    head.extend([
        ("insns", Side::Right),
        ("of limit", Side::Right),
        ("states", Side::Right),
        ("peak", Side::Right),
        ("stack", Side::Right),
        ("ms", Side::Right),
    ]);
    if compared {
        head.extend([("before", Side::Right), ("growth", Side::Right)]);
    }
    head.push(("", Side::Left));
    rows.chunk_by(is_same_program)
        .map(|rows| {
            let mut table = Table::new(&head);
            for row in rows {
                table.push(fields(row, llvms, compared));
            }
            let title = format!("{}: {}", rows[0].artifact, rows[0].program);
            (super::harmless(&title).into_string(), table)
        })
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds are far below 2^52"
)]
fn fields(row: &Row, llvms: bool, compared: bool) -> Vec<String> {
    let stats = &row.verifier;
    let known = |number: u64| match number {
        0 => "-".to_owned(),
        number => grouped(number),
    };
    let mut fields = vec![row.kernel.clone(), row.arch.to_string()];
    if llvms {
        fields.push(row.llvm.clone().unwrap_or_else(|| "-".into()));
    }
    fields.extend([
        grouped(stats.insns),
        match stats.limit {
            0 => "-".into(),
            limit => share(stats.insns, limit),
        },
        known(stats.total_states),
        known(stats.peak_states),
        known(stats.stack_depth),
        match stats.micros {
            0 => "-".into(),
            micros => format!("{:.1}", micros as f64 / 1000.0),
        },
    ]);
    if compared {
        fields.push(row.before.map_or_else(|| "-".into(), grouped));
        fields.push(row.before.map_or_else(
            || "-".into(),
            |before| match growth_percent(before, stats.insns) {
                0.0 => "=".into(),
                percent => format!("{percent:+.1} %"),
            },
        ));
    }
    fields.push(if row.accepted { "" } else { "refused" }.into());
    fields
}
