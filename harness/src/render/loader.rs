//! What a manifest can say for the own loader of an object that was refused for want of it.
//!
//! A report and one of its causes come in; a few lines of a manifest and the command that writes a
//! whole one go out. The object is not read again: the report has its programs and maps.

use std::collections::BTreeMap;

use ukci_matrix::manifest::{
    Choice, MapShape, ObjectFacts, ObjectNames, ProgramNames, program_type_of, suggest,
};
use ukci_schema::artifact::Form;
use ukci_schema::contract::MapType;
use ukci_schema::evidence::StepOutcome;
use ukci_schema::report::{CellReport, Report};

use super::cause::{Axes, Cause};
use super::quoted;
use crate::evidence_dir::artifact_path;

/// Most lines of a manifest that are shown, unless the first choice has more.
const LINES: usize = 12;

/// What mends a cause that is the own loader's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mend {
    /// One sentence: whose business it is.
    pub note: String,
    /// The artifact that the lines are for, where the cause has several.
    pub artifact: Option<String>,
    /// Lines of its manifest: those of the first choices, about [`LINES`] of them.
    pub lines: Vec<String>,
    /// The choices whose lines are left out, in a few words each: "size map `stacks`".
    pub omitted: Vec<String>,
    /// The command that writes a whole manifest; none for C source, which has no object file.
    pub command: Option<String>,
}

/// What mends a cause; none if it is not the own loader's business. `out` is the report's directory,
/// if the reader has it: the command then names it.
pub fn mend(
    report: &Report,
    axes: &Axes<'_>,
    cause: &Cause<'_>,
    out: Option<&str>,
) -> Option<Mend> {
    if !cause.is_loader() {
        return None;
    }
    let first = cause.first().cell;
    let (mut lines, mut omitted) = (Vec::new(), Vec::new());
    for choice in choices(cause, first) {
        let of_choice = choice.lines();
        if omitted.is_empty() && (lines.is_empty() || lines.len() + of_choice.len() <= LINES) {
            lines.extend(of_choice);
        } else {
            omitted.push(choice.what);
        }
    }
    let note = match axes.everywhere(report, cause) {
        Some(kernels) => format!(
            "the result is the same on all {kernels} kernels, so it depends on your loader and says \
             nothing about the kernels"
        ),
        None => {
            "the object's own loader has to set this first, so it says nothing about the kernel"
                .to_owned()
        }
    };
    let several = cause.artifacts().len() > 1;
    Some(Mend {
        note,
        artifact: several.then(|| first.artifact.clone()),
        lines,
        omitted,
        command: command(report, first, out),
    })
}

fn command(report: &Report, cell: &CellReport, out: Option<&str>) -> Option<String> {
    let artifact = (report.artifacts.iter()).find(|artifact| artifact.name == cell.artifact)?;
    (artifact.form == Form::Object).then(|| {
        // Of an object inside a program, the cache has the file, and the run's directory a copy.
        let is_embedded = report.run.asked.embedded.contains_key(&artifact.name);
        let path = match out {
            Some(out) if is_embedded => quoted(&format!("{out}/{}", artifact_path(&artifact.name))),
            _ => quoted(&artifact.path),
        };
        let report = out.map_or(String::new(), |out| format!(" --report {}", quoted(out)));
        format!("ukci manifest suggest {path}{report}")
    })
}

/// The choices about the maps and programs that a cause names, in its headline, its hints, or as its
/// programs.
fn choices(cause: &Cause<'_>, first: &CellReport) -> Vec<Choice> {
    let of_artifact = (cause.seen.iter()).filter(|seen| seen.cell.artifact == first.artifact);
    let mut names: Vec<&str> = Vec::new();
    for seen in of_artifact {
        names.extend(seen.names.iter().chain(&seen.programs));
        for hint in seen.diagnosis.iter().flat_map(|diagnosis| &diagnosis.hints) {
            names.extend(hint.split('`').skip(1).step_by(2));
        }
    }
    // Without the cells: what kernels refused is not to be left out here.
    let suggestion = suggest(&facts(first), &[]);
    let choices = suggestion.choices.into_iter();
    choices.filter(|choice| choice.names_any(&names)).collect()
}

/// What the report says of an object. It does not have the helpers that programs call. A map of maps
/// without inner ones is known from its refusal.
fn facts(cell: &CellReport) -> ObjectFacts {
    let programs = cell.programs.iter().map(|program| {
        let names = ProgramNames {
            section: program.section.clone(),
            program_type: program_type_of(&program.section).map(|kind| kind.name().to_owned()),
        };
        (program.name.clone(), names)
    });
    let maps: BTreeMap<String, MapShape> = (cell.maps.iter())
        .map(|map| {
            let shape = MapShape {
                map_type: MapType::named(&map.map_type),
                key_size: map.key_size,
                value_size: map.value_size,
                max_entries: map.max_entries,
                flags: map.flags,
                has_inner: map.created != StepOutcome::Refused || map.max_entries == 0,
                pinned: false,
            };
            (map.name.clone(), shape)
        })
        .collect();
    let of_type = |(name, shape): (&String, &MapShape)| {
        (name.clone(), shape.map_type.map(|of| of.name().to_owned()))
    };
    ObjectFacts {
        names: ObjectNames {
            programs: programs.collect(),
            maps: maps.iter().map(of_type).collect(),
            ..ObjectNames::default()
        },
        maps,
        ..ObjectFacts::default()
    }
}
