//! Prints what `ukci mskv` found.

use serde_json::{Value, json};
use ukci_harness::render::harmless;
use ukci_harness::support::Edge;
use ukci_harness::version_outcome::VersionOutcome;
use ukci_schema::history;

use super::{Asked, Row};
use crate::args::mskv::Print;
use crate::diagnostic::Failure;
use crate::output::{Output, STRONG, paint};
use crate::stdout::{pretty, print as data, show};
use crate::text::{Side, Text, text};
use crate::versions;

/// Version of the shape that the result has as JSON.
const SCHEMA: &str = "ukci.mskv/1";

/// Most needs that are printed of a release.
const MOST_NEEDS: usize = 4;

/// Prints the result.
pub(super) fn print(
    shape: Print,
    asked: &[Asked],
    rows: &[Row],
    output: Output,
) -> Result<(), Failure> {
    match shape {
        Print::Text => show(output.fitting(text_of(asked, rows))),
        Print::Markdown => data(markdown(asked, rows)),
        Print::Json => data(pretty(&document(asked, rows))),
    }
    .map(drop)
}

/// The result of one artifact in one row.
struct Found<'a> {
    row: &'a Row,
    artifact: usize,
    edge: Edge,
}

impl<'a> Found<'a> {
    fn of(row: &'a Row, artifact: usize) -> Self {
        let edge = row.searches[artifact].edge();
        Self {
            row,
            artifact,
            edge,
        }
    }

    fn outcome(&self, place: usize) -> Option<&'a VersionOutcome> {
        self.row.outcomes.get(&(self.artifact, place))
    }

    /// Whether it is supported by a kernel that is older than what it asks for by mainline.
    fn is_below(&self, floor: Option<&str>) -> bool {
        let series = self
            .edge
            .oldest
            .map(|place| self.row.series[place].as_str());
        series
            .zip(floor)
            .is_some_and(|(series, floor)| history::is_older(series, floor))
    }
}

fn text_of(asked: &[Asked], rows: &[Row]) -> Text {
    let wide = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let stream = wide(&|row| row.stream.len());
    let arch = wide(&|row| row.arch.name().len());
    let mut text = Text::default();
    for (artifact, of) in asked.iter().enumerate() {
        if artifact > 0 {
            text.push_line(&"".into());
        }
        text.push_line(&paint(STRONG, harmless(&of.name)));
        text.push_line(&floor_line(of));
        for row in rows {
            let found = Found::of(row, artifact);
            text.push_line(&text!(
                "  {}  {}  {}",
                Text::from(harmless(&row.stream)).aligned(Side::Left, stream),
                text!("{}", row.arch.name()).aligned(Side::Left, arch),
                takes(&found, of)
            ));
            let indent = Text::default().aligned(Side::Left, stream + arch + 6);
            for line in below(&found) {
                text.push_line(&text!("{}{}", indent, line));
            }
        }
    }
    text
}

/// The newest release among the needs, and what needs it.
fn floor_line(asked: &Asked) -> Text {
    let Some(floor) = asked.floor() else {
        return "  by mainline, nothing in it is newer than 3.18".into();
    };
    let newest = asked.needs.iter().filter(|need| need.release == floor);
    let names: Vec<Text> = newest
        .clone()
        .take(MOST_NEEDS)
        .map(|need| text!("{} ({})", harmless(&need.name), need.kind))
        .collect();
    let more = newest.count().saturating_sub(MOST_NEEDS);
    let names = Text::joined(&names, ", ");
    match more {
        0 => text!("  by mainline, it needs {}: {}", floor, names),
        more => text!(
            "  by mainline, it needs {}: {} and {} more",
            floor,
            names,
            more
        ),
    }
}

/// The oldest kernel that takes it.
fn takes(found: &Found<'_>, asked: &Asked) -> Text {
    let Some(oldest) = found.edge.oldest else {
        return "no kernel, because the newest refuses it".into();
    };
    let name = harmless(&found.row.kernels[oldest]);
    match asked.floor().filter(|_| found.is_below(asked.floor())) {
        None => text!("{} and newer", paint(STRONG, name)),
        Some(floor) => text!(
            "{} and newer, below {}: features were backported, or the object uses them only if they exist",
            paint(STRONG, name),
            floor
        ),
    }
}

/// What is on the other side of the edge.
fn below(found: &Found<'_>) -> Vec<Text> {
    let mut lines = Vec::new();
    match found.edge.refused {
        None if found.edge.oldest.is_some() => {
            lines.push("no older kernel of this stream is pinned".into());
        }
        None => lines.push("no kernel gave a verdict".into()),
        Some(place) => {
            let outcome = found.outcome(place);
            let name = harmless(&found.row.kernels[place]);
            if let Some(outcome) = outcome {
                lines.push(text!("{}: {}", name, versions::verdict(outcome)));
                if let Some(headline) = &outcome.headline {
                    lines.push(text!("  {}", harmless(headline)));
                }
            }
        }
    }
    if !found.edge.also.is_empty() {
        let names = found.edge.also.iter();
        let names: Vec<Text> = names
            .map(|place| harmless(&found.row.kernels[*place]).into())
            .collect();
        lines.push(text!(
            "older kernels that accept it: {}",
            Text::joined(&names, ", ")
        ));
    }
    lines
}

/// A column for each row of kernels.
fn markdown(asked: &[Asked], rows: &[Row]) -> Text {
    let mut text = Text::from("| Object | By mainline |");
    for row in rows {
        text.push(&text!(" {} {} |", harmless(&row.stream), row.arch));
    }
    text.push(&"\n|---|---|".into());
    for _ in rows {
        text.push(&"---|".into());
    }
    text.push(&"\n".into());
    for (artifact, of) in asked.iter().enumerate() {
        let name = of.name.replace('|', "\\|");
        text.push(&text!(
            "| {} | {} |",
            harmless(&name),
            of.floor().unwrap_or("any")
        ));
        for row in rows {
            let edge = row.searches[artifact].edge();
            match edge.oldest {
                Some(place) => text.push(&text!(" {} |", harmless(&row.series[place]))),
                None => text.push(&" none |".into()),
            }
        }
        text.push(&"\n".into());
    }
    text
}

fn document(asked: &[Asked], rows: &[Row]) -> Value {
    let side = |found: &Found<'_>, place: usize| {
        let outcome = found.outcome(place);
        json!({
            "kernel": found.row.kernels[place],
            "series": found.row.series[place],
            "release": outcome.map(|outcome| &outcome.release),
            "code": outcome.and_then(|outcome| outcome.code),
            "headline": outcome.and_then(|outcome| outcome.headline.as_ref()),
            "evidence": outcome.map(|outcome| &outcome.evidence),
        })
    };
    let artifacts = asked.iter().enumerate().map(|(artifact, of)| {
        let kernels = rows.iter().map(|row| {
            let found = Found::of(row, artifact);
            let names = found.edge.also.iter().map(|place| &row.kernels[*place]);
            json!({
                "stream": row.stream,
                "arch": row.arch,
                "oldest": found.edge.oldest.map(|place| side(&found, place)),
                "refused": found.edge.refused.map(|place| side(&found, place)),
                "also": names.collect::<Vec<_>>(),
                "below_floor": found.is_below(of.floor()),
                "booted": row.searches[artifact].asked(),
            })
        });
        json!({
            "name": of.name,
            "floor": of.floor(),
            "needs": of.needs,
            "kernels": kernels.collect::<Vec<_>>(),
        })
    });
    json!({ "schema": SCHEMA, "artifacts": artifacts.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ukci_harness::bisection::Answer;
    use ukci_harness::object_file::Need;
    use ukci_harness::support::EdgeSearch;
    use ukci_schema::cell::Arch;
    use ukci_schema::diagnosis::Code;
    use ukci_schema::verdict::VerdictKind;

    use super::*;

    fn row(answers: &[(Answer, Option<Code>)]) -> Row {
        let series = ["5.10", "6.1", "6.12"];
        let mut search = EdgeSearch::new(3, 1);
        let mut outcomes = BTreeMap::new();
        for (place, (answer, code)) in answers.iter().enumerate() {
            search.tell(place, *answer);
            let outcome = VersionOutcome {
                kernel: format!("debian-{}", series[place]),
                version: String::new(),
                release: series[place].to_owned(),
                built: None,
                verdict: match answer {
                    Answer::Good => VerdictKind::Pass,
                    _ => VerdictKind::Fail,
                },
                code: *code,
                headline: code.map(|_| "the helper\u{1b}[2J is unknown".to_owned()),
                insns: BTreeMap::new(),
                changes: Vec::new(),
                evidence: "ukci-mskv/cells/x".to_owned(),
            };
            outcomes.insert((0, place), outcome);
        }
        Row {
            stream: "debian-cloud".into(),
            arch: Arch::X86_64,
            kernels: series.map(|series| format!("debian-{series}")).to_vec(),
            series: series.map(ToOwned::to_owned).to_vec(),
            searches: vec![search],
            outcomes,
        }
    }

    #[test]
    fn both_sides_of_an_edge_are_shown_and_what_is_below_the_floor_is_said() {
        use Answer::{Bad, Good};
        let asked = [Asked {
            name: "x|y".into(),
            needs: vec![Need {
                kind: "helper",
                name: "bpf_loop".into(),
                release: "5.17",
            }],
        }];
        let helper = Some(Code::UnsupportedHelper);
        let rows = [
            row(&[(Bad, helper), (Good, None), (Good, None)]),
            row(&[(Good, None), (Good, None), (Good, None)]),
            row(&[(Good, None), (Bad, helper), (Bad, helper)]),
        ];
        insta::assert_snapshot!("text", &*text_of(&asked, &rows).plain());
        insta::assert_snapshot!("markdown", &*markdown(&asked, &rows));
        let document = document(&asked, &rows);
        let kernels = &document["artifacts"][0]["kernels"];
        assert_eq!(kernels[0]["oldest"]["kernel"], "debian-6.1");
        assert_eq!(kernels[0]["refused"]["code"], "UNSUPPORTED_HELPER");
        assert_eq!(kernels[1]["below_floor"], true);
        assert_eq!(kernels[2]["oldest"], Value::Null);
        assert_eq!(kernels[2]["also"][0], "debian-5.10");
    }
}
