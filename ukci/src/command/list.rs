//! `ukci list`: the cells of a matrix, one a line.

use std::fmt::Write;

use ukci_harness::resolve::{self, Manifests};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::plan::{FileRef, PlannedArtifact, PlannedCell};
use ukci_schema::verdict::VerdictKind;

use crate::args::{List, ListFormat};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{Output, WARN, data, paint};

/// Runs the command.
pub(crate) fn run(list: &List, output: Output) -> Result<Exit, Failure> {
    let mut artifacts = resolve::artifacts(&list.artifacts).map_err(|e| super::unresolved(&e))?;
    if artifacts.is_empty() {
        artifacts.push(any());
    }
    let catalogue = super::catalogue()?;
    let selected = super::select(&list.selection, &artifacts, &Manifests::new(), &catalogue)?;
    if !list.artifacts.is_empty() {
        for warning in &selected.warnings {
            output.say(&format!("{} {warning}", paint(WARN, "warning:")));
        }
    }
    let text = match list.format {
        ListFormat::Text => text(&selected.cells),
        ListFormat::Json => json(&selected.cells).map_err(|error| unwritten(&error))?,
        ListFormat::Github => github(selected.cells.len(), list.shards.into()),
    };
    data(&text).map_err(|error| unwritten(&error))?;
    Ok(Exit::Met)
}

fn unwritten(error: &dyn std::error::Error) -> Failure {
    Failure::failed_to("write to stdout", error)
}

/// One line a cell.
fn text(cells: &[PlannedCell]) -> String {
    let width = cells.iter().map(|p| p.cell.id().len()).max().unwrap_or(0);
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
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Shards for `strategy.matrix: ${{ fromJSON(…) }}`, on one line: no more than there are cells.
fn github(cells: usize, most: usize) -> String {
    let shards = most.min(cells).max(1);
    let include: Vec<_> = (1..=shards)
        .map(|shard| {
            serde_json::json!({
                "shard": shard,
                "partition": format!("count:{shard}/{shards}"),
                // Dealt in turn: the first ones get what is left over.
                "cells": cells / shards + usize::from(shard <= cells % shards),
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
    Ok(format!("{cells}\n"))
}

/// Stands for whatever object will be checked.
pub(crate) fn any() -> PlannedArtifact {
    PlannedArtifact {
        artifact: Artifact {
            name: "*".into(),
            path: String::new(),
            sha256: String::new(),
            size: 0,
            form: Form::Object,
            manifest: None,
        },
        file: FileRef {
            path: String::new().into(),
            sha256: String::new(),
        },
        companions: std::collections::BTreeMap::new(),
    }
}
