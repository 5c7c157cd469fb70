//! `ukci manifest record`: run a tool once, and print what its loader does as a manifest.

use std::path::Path;

use ukci_harness::event::Event;
use ukci_harness::input_file::{self, DOCUMENT_LIMIT};
use ukci_harness::object_file;
use ukci_harness::render::{harmless, harmless_lines};
use ukci_harness::resolve;
use ukci_harness::scratch::Scratch;
use ukci_matrix::manifest;
use ukci_schema::artifact::name_of;
use ukci_schema::command::Ended;
use ukci_schema::evidence::Evidence;
use ukci_schema::report::CellReport;

use crate::args::manifest::Record;
use crate::args::{Runner, Terminal, Transport, Tty};
use crate::cells;
use crate::commands;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::output::Output;
use crate::selected::unresolved;
use crate::settings::Settings;
use crate::stdout::print;
use crate::text::text;

/// An object that the tool may load.
struct Candidate {
    name: String,
    bytes: Vec<u8>,
}

pub(super) fn run(record: Record, output: Output) -> Result<Exit, Failure> {
    let quiet = output.quietly();
    let words = record.words.iter().map(|word| word.to_string_lossy());
    let line = words.collect::<Vec<_>>().join(" ");
    let mut draft = commands::draft(record.words, record.program.clone());
    draft.watched = true;
    draft.artifact.clone_from(&record.artifact);
    let tool = draft
        .program()
        .map_err(|error| Failure::of(Exit::Usage, &error, error.hint()))?;
    let candidates = match (&record.artifact, &tool) {
        (Some(object), _) => vec![read(object)?],
        (None, Some(tool)) => embedded(tool)?,
        (None, None) => Vec::new(),
    };
    let scratch = Scratch::create()
        .map_err(|error| Failure::failed_to("create a temporary directory", &error))?;
    let runner = Runner {
        words: Vec::new(),
        kernel: record.kernel,
        modules: record.modules,
        terminal: Terminal { tty: Tty::Never },
        program: record.program,
        watch: true,
        timeout: record.timeout,
        accel: record.accel,
        transport: Transport::Auto,
        cold: false,
    };
    let mut settings = Settings::of_runner(runner, scratch.path());
    settings.command = Some(commands::plan(draft, &mut settings.selection, quiet)?);
    let report = cells::run_quietly(&settings, quiet, |event| {
        if let Event::Retry { why, .. } = event {
            output.warn(&why);
        }
    })?;
    let Some(cell) = report.as_ref().and_then(|report| report.cells.first()) else {
        return Ok(Exit::Interrupted);
    };
    let evidence = evidence(scratch.path(), cell)?;
    works(cell, &evidence)?;
    let facts = candidates.iter().filter_map(|candidate| {
        let facts = object_file::facts(&candidate.bytes)?;
        Some((manifest::loaded_of(&facts, &evidence), candidate, facts))
    });
    // Of several objects in a tool, the one that it loaded most programs of.
    let chosen = facts.max_by_key(|(loaded, ..)| *loaded);
    let recorded = chosen.and_then(|(_, candidate, facts)| {
        let rodata = object_file::rodata(&candidate.bytes);
        Some((candidate, manifest::record(&facts, &rodata, &evidence)?))
    });
    let Some((candidate, recorded)) = recorded else {
        let seen: Vec<String> = (evidence.programs.iter())
            .map(|program| format!("`{}`", program.name))
            .collect();
        let message = match seen.as_slice() {
            [] => "the tool loaded no BPF program".to_owned(),
            seen => format!(
                "the tool loaded no program of the object, but {}",
                seen.join(", ")
            ),
        };
        let hint = "give arguments with which the tool loads its programs, or another object with `--artifact`";
        return Err(Failure::says(Exit::NoVerdict, &message, Some(hint.into())));
    };
    let about = format!(
        "What `{line}` did with the object `{}` on kernel `{}` ({}), recorded by `ukci manifest record`. \
         With other arguments, or on another kernel, the tool may choose otherwise.",
        candidate.name, cell.kernel, cell.release
    );
    if output.chatty {
        let way = match &record.artifact {
            Some(object) => object.display().to_string(),
            None => format!("{} --embedded", tool.unwrap_or_default().display()),
        };
        output.say(&text!(
            "Save the manifest, and check it with: ukci check {} --manifest FILE.toml\n",
            harmless(&way)
        ));
    }
    print(harmless_lines(&recorded.to_recorded_toml(&about)))
}

fn read(object: &Path) -> Result<Candidate, Failure> {
    let bytes = resolve::object(object).map_err(|error| unresolved(&error))?;
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    Ok(Candidate {
        name: name_of(&name).to_owned(),
        bytes,
    })
}

fn embedded(tool: &Path) -> Result<Vec<Candidate>, Failure> {
    let found = resolve::embedded(tool).map_err(|error| {
        let hint = "name the object that it loads with `--artifact`".to_owned();
        Failure::of(Exit::Usage, &error, Some(hint))
    })?;
    let name = tool.file_name().unwrap_or_default().to_string_lossy();
    Ok(found
        .into_iter()
        .map(|object| Candidate {
            name: name.clone().into_owned(),
            bytes: object.bytes,
        })
        .collect())
}

fn evidence(dir: &Path, cell: &CellReport) -> Result<Evidence, Failure> {
    if let Some(fault) = &cell.fault {
        let hint = fault.hints.first().cloned();
        return Err(Failure::says(Exit::NoVerdict, &fault.headline, hint));
    }
    let path = dir.join(&cell.evidence).join("evidence.json");
    let unread = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed_to(Action::on("read", &path), error)
    };
    let text = input_file::read(&path, DOCUMENT_LIMIT).map_err(|error| unread(&error))?;
    serde_json::from_slice(&text).map_err(|error| unread(&error))
}

/// Refuses a run in which the tool did not do its work: that would be recorded as its choice.
fn works(cell: &CellReport, evidence: &Evidence) -> Result<(), Failure> {
    let Some(command) = &evidence.command else {
        return Ok(());
    };
    let watched = command.watched.as_ref();
    if let Some(why) = watched.and_then(|watched| watched.incomplete.as_ref()) {
        let message = format!("not all calls of the tool were seen: {why}");
        let hint = "record on another kernel".to_owned();
        return Err(Failure::says(Exit::NoVerdict, &message, Some(hint)));
    }
    let refused = watched.is_some_and(|watched| watched.last_refused.is_some());
    let ended_well = matches!(command.ended, Ended::TimedOut { .. })
        || matches!(command.ended, Ended::Exited { status } if status == command.expected_status);
    if !refused && ended_well {
        return Ok(());
    }
    let why = cell.diagnosis.as_ref().map(|found| found.headline.as_str());
    let why = why.unwrap_or("the kernel refused its last BPF request");
    let message = format!("the tool does not work on kernel `{}`: {why}", cell.kernel);
    let tail = command.stderr_tail.trim();
    let message = if tail.is_empty() {
        message
    } else {
        format!("{message}\n{}", harmless_lines(tail))
    };
    let hint = "record on a kernel on which the tool works, and give arguments with which it works"
        .to_owned();
    Err(Failure::says(Exit::NoVerdict, &message, Some(hint)))
}
