//! `ukci mskv`: find the oldest kernels that take an artifact, by its static floor and by boots.

mod shown;

use std::collections::{BTreeMap, BTreeSet};

use ukci_harness::bisection::Answer;
use ukci_harness::event::Event;
use ukci_harness::kernel_versions::Versions;
use ukci_harness::object_file::{self, Need};
use ukci_harness::render::harmless;
use ukci_harness::resolve::{self, ArtifactFile};
use ukci_harness::support::EdgeSearch;
use ukci_harness::version_outcome::VersionOutcome;
use ukci_schema::artifact::Form;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::history;
use ukci_schema::lock::{Lock, Verified};
use ukci_schema::report::Report;
use ukci_schema::verdict::VerdictKind;

use crate::args::mskv::Mskv;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::out_dir::OutDir;
use crate::output::{GOOD, Output, label};
use crate::settings::Settings;
use crate::text::text;
use crate::{cells, lock_file, selected, versions};

/// An artifact, and what it asks for.
#[derive(Debug)]
struct Asked {
    name: String,
    /// Newest first.
    needs: Vec<Need>,
}

impl Asked {
    /// The newest release among its needs.
    fn floor(&self) -> Option<&'static str> {
        self.needs.first().map(|need| need.release)
    }
}

/// A row of kernels, from the oldest to the newest, and a search in it for each artifact.
#[derive(Debug)]
struct Row {
    stream: String,
    arch: Arch,
    kernels: Vec<String>,
    /// The mainline series of each kernel.
    series: Vec<String>,
    searches: Vec<EdgeSearch>,
    /// What was seen of an artifact on a kernel, by the places of both.
    outcomes: BTreeMap<(usize, usize), VersionOutcome>,
}

/// Runs the command.
pub(crate) fn run(mskv: &Mskv, output: Output) -> Result<Exit, Failure> {
    let asked = asked(mskv)?;
    let lock = lock_file::lock()?;
    let mut rows = rows(mskv, &asked, &lock)?;
    let mut settings = Settings::of_mskv(mskv);
    let _taken = OutDir::take(&settings.out, &settings.formats)?;
    let mut reports: Vec<Report> = Vec::new();
    let arches: BTreeSet<Arch> = rows.iter().map(|row| row.arch).collect();
    for arch in arches {
        let mut rows: Vec<&mut Row> = rows.iter_mut().filter(|row| row.arch == arch).collect();
        loop {
            let wanted = wanted(&rows, &asked, mskv.all);
            if wanted.is_empty() {
                break;
            }
            settings.selection.arches = vec![arch];
            let kernels: BTreeSet<&str> = wanted.iter().map(|cell| cell.kernel.as_str()).collect();
            settings.selection.kernels = kernels.into_iter().map(ToOwned::to_owned).collect();
            settings.only = Some(wanted.iter().map(Cell::id).collect());
            let report = cells::run_quietly(&settings, output, |event| say(&event, output))?;
            let Some(report) = report.filter(|report| !report.run.interrupted) else {
                return Ok(Exit::Interrupted);
            };
            for row in &mut rows {
                row.take(&report, &asked, &settings);
            }
            reports.push(report);
        }
    }
    versions::write_report(reports, &settings, output)?;
    shown::print(mskv.print, &asked, &rows, output)?;
    let has_answer = |row: &Row| row.outcomes.values().any(VersionOutcome::is_known);
    Ok(if rows.iter().any(has_answer) {
        Exit::Met
    } else {
        Exit::NoVerdict
    })
}

/// What each object asks for, without booting anything.
fn asked(mskv: &Mskv) -> Result<Vec<Asked>, Failure> {
    let files: Vec<ArtifactFile> = mskv.artifacts.iter().cloned().map(Into::into).collect();
    let artifacts =
        resolve::named_artifacts(&files).map_err(|error| selected::unresolved(&error))?;
    let mut asked = Vec::new();
    for artifact in artifacts {
        let path = artifact.artifact.path.as_str();
        if artifact.artifact.form != Form::Object {
            let message = format!("`{path}` is C source, and `ukci mskv` reads only objects");
            let hint = "compile it first: `clang -g -O2 -target bpf -c`".to_owned();
            return Err(Failure::says(Exit::Usage, &message, Some(hint)));
        }
        let bytes = artifact.kept.get(&artifact.file.sha256);
        asked.push(Asked {
            needs: bytes
                .and_then(|bytes| object_file::needs(bytes))
                .unwrap_or_default(),
            name: artifact.artifact.name,
        });
    }
    Ok(asked)
}

/// The rows to search.
fn rows(mskv: &Mskv, asked: &[Asked], lock: &Lock) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for &arch in &mskv.arch {
        let mut streams: BTreeSet<String> = mskv.stream.iter().cloned().collect();
        if streams.is_empty() {
            let verified = lock.kernels.iter();
            let verified = verified.filter(|k| k.arch == arch && k.verified != Verified::Never);
            streams.extend(verified.map(|kernel| match kernel.flavour.as_str() {
                "" => kernel.distro.clone(),
                flavour => format!("{}-{flavour}", kernel.distro),
            }));
        }
        for stream in streams {
            let mut found =
                Versions::of(&stream, arch, true, lock).map_err(|error| versions::wrong(&error))?;
            found.keep_present(lock);
            if found.pins.is_empty() {
                let message = format!("no kernel of `{stream}` for {arch} is pinned at present");
                return Err(Failure::says(Exit::NoCells, &message, None));
            }
            let series: Vec<String> = found.pins.iter().map(|pin| pin.series.clone()).collect();
            let search = |asked: &Asked| EdgeSearch::new(series.len(), floor(asked, &series));
            rows.push(Row {
                stream,
                arch,
                kernels: found.pins.iter().map(|pin| pin.name.clone()).collect(),
                searches: asked.iter().map(search).collect(),
                series,
                outcomes: BTreeMap::new(),
            });
        }
    }
    Ok(rows)
}

/// The place of the first kernel whose series is not older than the floor.
fn floor(asked: &Asked, series: &[String]) -> usize {
    let Some(floor) = asked.floor() else {
        return 0;
    };
    let first = series
        .iter()
        .position(|series| !history::is_older(series, floor));
    first.unwrap_or(series.len() - 1)
}

/// The cells that the searches want next, or all that have not run.
fn wanted(rows: &[&mut Row], asked: &[Asked], all: bool) -> Vec<Cell> {
    let mut wanted = Vec::new();
    for row in rows {
        for (artifact, search) in row.searches.iter().enumerate() {
            let is_open = |place: &usize| !row.outcomes.contains_key(&(artifact, *place));
            let places: Vec<usize> = if all {
                (0..row.kernels.len()).filter(is_open).collect()
            } else {
                search.wants()
            };
            wanted.extend(places.into_iter().map(|place| Cell {
                artifact: asked[artifact].name.clone(),
                kernel: row.kernels[place].clone(),
                llvm: None,
                arch: row.arch,
                btf: None,
            }));
        }
    }
    wanted
}

impl Row {
    /// Takes what a report has of this row's cells.
    fn take(&mut self, report: &Report, asked: &[Asked], settings: &Settings) {
        for cell in report.cells.iter().filter(|cell| cell.arch == self.arch) {
            let place = self
                .kernels
                .iter()
                .position(|kernel| *kernel == cell.kernel);
            let artifact = asked.iter().position(|asked| asked.name == cell.artifact);
            let (Some(place), Some(artifact)) = (place, artifact) else {
                continue;
            };
            let answer = match cell.verdict {
                VerdictKind::Pass => Answer::Good,
                VerdictKind::Fail => Answer::Bad,
                VerdictKind::Error | VerdictKind::Skip => Answer::None,
            };
            self.searches[artifact].tell(place, answer);
            let outcome = VersionOutcome::of(cell, &settings.out);
            self.outcomes.insert((artifact, place), outcome);
        }
    }
}

/// A line for each cell that has ended.
fn say(event: &Event, output: Output) {
    if let (true, Event::Finished { report: cell, .. }) = (output.chatty, event) {
        let code = match cell.code() {
            Some(code) => text!(" {}", code),
            None => "".into(),
        };
        output.say(&text!(
            "{} {}  {}{}",
            label(GOOD, "Booted"),
            harmless(&cell.id),
            cell.verdict.name(),
            code
        ));
    }
}
