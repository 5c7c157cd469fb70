//! What the plan of a rerun is compared with.

use ukci_schema::plan::Plan;
use ukci_schema::report::{CellReport, Report};

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;

/// What a run must be like: only these cells, from these bytes.
#[derive(Debug)]
pub(crate) struct Pins {
    /// Ids of the cells.
    pub(crate) cells: Vec<String>,
    report: Report,
    anyway: bool,
}

impl Pins {
    /// These cells, with the report's bytes; with `anyway`, others are only told of.
    pub(crate) fn of(report: Report, cells: &[CellReport], anyway: bool) -> Self {
        Self {
            cells: cells.iter().map(|cell| cell.id.clone()).collect(),
            report,
            anyway,
        }
    }

    /// Holds the plan against the report: says which bytes differ, and stops unless told not to.
    pub(crate) fn verify(&self, plan: &Plan, output: Output) -> Result<(), Failure> {
        let mut differs = Vec::new();
        let mut same = |what: String, was: Option<&String>, is: &str| {
            if was.is_none_or(|was| was != is) {
                let was = was.map_or("nothing", |was| short(was));
                differs.push(format!("{what}: {was} then, {} now", short(is)));
            }
        };
        for (name, planned) in &plan.artifacts {
            let was = self.report.artifacts.iter().find(|a| a.name == *name);
            same(
                format!("artifact `{name}`"),
                was.map(|was| &was.sha256),
                &planned.file.sha256,
            );
        }
        for planned in &plan.cells {
            let Some(name) = &planned.cell.btf else {
                continue;
            };
            let id = planned.cell.id();
            let was = self.report.cells.iter().find(|cell| cell.id == id);
            let was = was.and_then(|cell| cell.btf.as_ref());
            let artifact = plan.artifacts.get(&planned.cell.artifact);
            let is = artifact.and_then(|artifact| artifact.companions.get(name));
            let is = is.map_or("", |file| file.sha256.as_str());
            same(format!("BTF `{name}`"), was.map(|was| &was.sha256), is);
        }
        for (name, kernel) in &plan.kernels {
            let was = self.report.kernels.get(name);
            let image = &kernel.image.sha256;
            same(format!("kernel `{name}`"), was.map(|was| &was.image), image);
            let segment = &kernel.segment.sha256;
            same(
                format!("initramfs segment of `{name}`"),
                was.map(|was| &was.segment),
                segment,
            );
        }
        for (arch, agent) in &plan.agents {
            let was = self.report.run.agents.get(arch);
            same(format!("agent of {arch}"), was, &agent.sha256);
        }
        let ukci = env!("CARGO_PKG_VERSION").to_owned();
        same("ukci".to_owned(), Some(&self.report.run.ukci), &ukci);
        if differs.is_empty() {
            return Ok(());
        }
        if self.anyway {
            for line in &differs {
                output.warn(&format!("different from the report: {line}"));
            }
            return Ok(());
        }
        let message = format!(
            "the files differ from those of the report:\n  {}",
            differs.join("\n  ")
        );
        let hint = "run the cells all the same with `--anyway`".to_owned();
        Err(Failure::says(Exit::NoVerdict, &message, Some(hint)))
    }
}

/// A digest as people compare it.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
