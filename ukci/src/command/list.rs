//! `ukci list`: the cells of a matrix, one per line.

use std::fmt::Write;

use ukci_harness::render::{harmless, plain_json};
use ukci_harness::resolve;
use ukci_schema::plan::PlannedCell;
use ukci_schema::verdict::VerdictKind;

use crate::args::{List, ListFormat};
use crate::diagnostic::Failure;
use crate::embedded;
use crate::exit::Exit;
use crate::output::{Output, WIDEST};
use crate::stdout::{print, show};
use crate::text::Text;
use crate::{lock_file, selected, settings};

/// Runs the command.
pub(crate) fn run(mut list: List, output: Output) -> Result<Exit, Failure> {
    if list.embedded {
        list.artifacts = embedded::extract(&list.artifacts, output)?.files;
    }
    let mut artifacts =
        resolve::artifacts(&list.artifacts).map_err(|e| selected::unresolved(&e))?;
    if artifacts.is_empty() {
        artifacts.push(selected::any_artifact());
    }
    let catalogue = lock_file::catalogue()?;
    let some = (list.selection.since, list.selection.shard);
    let selection = settings::selection(list.selection);
    let manifests = selected::manifests(&list.manifest, &mut artifacts)?;
    let selected = selected::select(&selection, some, &artifacts, &manifests, &catalogue, output)?;
    if !list.artifacts.is_empty() {
        for warning in &selected.warnings {
            output.warn(warning);
        }
    }
    match list.format {
        ListFormat::Text => show(text(&selected.cells)),
        ListFormat::Json => print(
            json(&selected.cells)
                .map_err(|error| Failure::failed_to("write the cells as JSON", &error))?,
        ),
        ListFormat::Github => print(github(selected.cells.len(), list.shards.into())),
    }
}

/// One line per cell.
fn text(cells: &[PlannedCell]) -> Text {
    let width = cells.iter().map(|p| p.cell.id().len()).max();
    let width = width.unwrap_or(0).min(WIDEST);
    let mut text = Text::default();
    for planned in cells {
        let mut line = format!("{:<width$}", planned.cell.id());
        if planned.expected.verdict == VerdictKind::Fail {
            let code = planned.expected.code.map_or("any", |code| code.name());
            let _ = write!(line, "  expect fail: {code}");
        }
        if !planned.required {
            line.push_str("  not required");
        }
        text.push_line(&harmless(line.trim_end()).into());
    }
    text
}

/// Shards for `strategy.matrix: ${{ fromJSON(…) }}`, on one line: no more than there are cells.
fn github(cells: usize, most: usize) -> Text {
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
    let json = serde_json::json!({ "include": include });
    plain_json(&format!("{json}\n")).into()
}

/// The cells with their ids on one line, keys sorted: what Nix's `builtins.toJSON` makes of the
/// same.
fn json(cells: &[PlannedCell]) -> serde_json::Result<Text> {
    let with_id = |planned: &PlannedCell| {
        let mut value = serde_json::to_value(planned)?;
        value["id"] = planned.cell.id().into();
        Ok(value)
    };
    let cells = cells.iter().map(with_id);
    let cells = cells.collect::<serde_json::Result<serde_json::Value>>()?;
    Ok(plain_json(&format!("{cells}\n")).into())
}
