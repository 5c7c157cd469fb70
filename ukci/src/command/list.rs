//! `ukci list`: the cells of a matrix, one per line.

use std::fmt::Write;

use ukci_harness::render::{harmless, plain_json};
use ukci_harness::resolve;
use ukci_schema::plan::PlannedCell;
use ukci_schema::verdict::VerdictKind;

use crate::args::{List, ListFormat};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{Output, WARN, WIDEST, for_people, paint};
use crate::stdout::print;
use crate::{lock_file, selected, settings};

/// Runs the command.
pub(crate) fn run(list: List, output: Output) -> Result<Exit, Failure> {
    let mut artifacts =
        resolve::artifacts(&list.artifacts).map_err(|e| selected::unresolved(&e))?;
    if artifacts.is_empty() {
        artifacts.push(selected::any_artifact());
    }
    let catalogue = lock_file::catalogue()?;
    let some = (list.selection.since, list.selection.shard);
    let selection = settings::selection(list.selection);
    let manifests = selected::manifests(&list.manifest, &mut artifacts)?;
    let selected = selected::select(&selection, some, &artifacts, &manifests, &catalogue)?;
    if !list.artifacts.is_empty() {
        for warning in &selected.warnings {
            let warning = harmless(warning);
            output.say(&format!("{} {warning}", paint(WARN, "warning:")));
        }
    }
    let text = match list.format {
        ListFormat::Text => for_people(&text(&selected.cells)),
        ListFormat::Json => json(&selected.cells)
            .map_err(|error| Failure::failed_to("write the cells as JSON", &error))?,
        ListFormat::Github => github(selected.cells.len(), list.shards.into()),
    };
    print(&text)
}

/// One line per cell.
fn text(cells: &[PlannedCell]) -> String {
    let width = cells.iter().map(|p| p.cell.id().len()).max();
    let width = width.unwrap_or(0).min(WIDEST);
    let mut text = String::new();
    for planned in cells {
        let mut line = format!("{:<width$}", planned.cell.id());
        if planned.expected.verdict == VerdictKind::Fail {
            let code = planned.expected.code.map_or("any", |code| code.name());
            let _ = write!(line, "  expect fail: {code}");
        }
        if !planned.required {
            line.push_str("  not required");
        }
        let _ = writeln!(text, "{}", harmless(line.trim_end()));
    }
    text
}

/// Shards for `strategy.matrix: ${{ fromJSON(…) }}`, on one line: no more than there are cells.
fn github(cells: usize, most: usize) -> String {
    let shards = most.min(cells).max(1);
    let include: Vec<_> = (1..=shards)
        .map(|number| {
            serde_json::json!({
                "number": number,
                "shard": format!("count:{number}/{shards}"),
                // Cells are dealt in turn, so the first shards get what is left over.
                "cells": cells / shards + usize::from(number <= cells % shards),
            })
        })
        .collect();
    format!("{}\n", serde_json::json!({ "include": include }))
}

/// The cells with their ids on one line, keys sorted: what Nix's `builtins.toJSON` makes of the
/// same.
fn json(cells: &[PlannedCell]) -> serde_json::Result<String> {
    let with_id = |planned: &PlannedCell| {
        let mut value = serde_json::to_value(planned)?;
        value["id"] = planned.cell.id().into();
        Ok(value)
    };
    let cells = cells.iter().map(with_id);
    let cells = cells.collect::<serde_json::Result<serde_json::Value>>()?;
    Ok(format!("{}\n", plain_json(&cells.to_string())))
}
