//! Tests what an object does: it loads the object once more, attaches all of its programs together,
//! does what the manifest's tests say, and reports what was seen.
//!
//! The input is an object that was loaded and attached before, and the tests of its contract. The
//! output is evidence. Nothing is compared here with what a test expects; it only says what to look
//! at. The maps of the new copy are as its own loader would find them: nothing was done to make its
//! programs fire.

mod action;
mod buffers;
mod map_entries;
mod prog_run;
mod shell_command;
mod trace;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use ukci_schema::behavior::{
    DIRECTORY, Datum, EventsExpected, EventsSeen, Expected, MapExpected, MapSeen, TEXT_LIMIT, Test,
    TestEvidence, Text, hex_of,
};
use ukci_schema::evidence::Evidence;
use ukci_schema::verdict::Stage;

use crate::attach::together::{self, Together};
use crate::bpf::{Errno, LOG_STATS, Map, Object};
use crate::libbpf_log::captured;
use crate::request::ProbeRequest;

use buffers::Buffers;
use trace::Trace;

/// Runs the tests of the request's contract. `progress` hears of each as it begins.
pub(crate) fn run(
    request: ProbeRequest<'_>,
    evidence: &mut Evidence,
    progress: &mut impl FnMut(Stage, &str),
) {
    let tests = request.terms.tests();
    if tests.is_empty() {
        return;
    }
    progress(Stage::Behave, request.name);
    let (loaded, _) = captured(|| load(request));
    let copy = match loaded {
        Ok(copy) => copy,
        Err(errno) => {
            let why = format!("the object could not be loaded once more: errno {errno}");
            evidence.tests = tests.iter().map(|test| not_run(test, &why)).collect();
            return;
        }
    };
    let has_command = |test: &Test| test.command_files().is_some();
    let shell = if tests.iter().any(has_command) {
        shell_command::prepare(&request.terms.placed())
    } else {
        Ok(())
    };
    let buffers = Buffers::open(&copy.object, tests);
    let ((seen, runs), unattached) =
        together::with_all(&copy.object, request.terms, evidence, |together| {
            let subject = Subject {
                copy: &copy,
                buffers: &buffers,
                shell: &shell,
            };
            let seen: Vec<TestEvidence> = tests
                .iter()
                .map(|test| {
                    progress(Stage::Behave, &test.name);
                    subject.test(test, together)
                })
                .collect();
            (seen, subject.runs())
        });
    evidence.tests = seen;
    evidence.unattached_in_tests = unattached;
    for program in &mut evidence.programs {
        if let (Some(fired), Some(more)) = (&mut program.attach.fired, runs.get(&program.name)) {
            *fired += more;
        }
    }
}

fn not_run(test: &Test, why: &str) -> TestEvidence {
    TestEvidence {
        not_run: Some(why.to_owned()),
        ..TestEvidence::of(test.clone())
    }
}

/// The object, loaded for the tests.
struct Loaded {
    object: Object,
    /// The types of the keys and values of its maps. libbpf forgets some of them when it creates
    /// maps of types that the kernel takes no types for.
    types: BTreeMap<String, (u32, u32)>,
}

fn load(request: ProbeRequest<'_>) -> Result<Loaded, Errno> {
    let terms = request.terms;
    let mut object = terms.open_shaped(request.object, LOG_STATS, |object| {
        terms.select(request.object, object);
    })?;
    let maps = object.maps();
    let types = maps
        .iter()
        .map(|map| (map.name(), Object::map_types(*map)))
        .collect();
    object.load()?;
    terms.fill_program_arrays(&object)?;
    Ok(Loaded { object, types })
}

impl Loaded {
    /// A map by its name, or by the end of it: `.bss` is `objectname.bss`.
    fn map(&self, name: &str) -> Result<Map<'_>, String> {
        let maps = self.object.maps();
        let found = maps.iter().find(|map| map.name() == name).or_else(|| {
            let end = |map: &&Map<'_>| name.starts_with('.') && map.name().ends_with(name);
            maps.iter().find(end)
        });
        found
            .copied()
            .ok_or_else(|| format!("the object has no map `{name}`"))
    }

    fn datum(&self, kind: u32, bytes: &[u8]) -> Datum {
        Datum {
            hex: hex_of(bytes),
            value: self.object.typed_value(kind, bytes),
        }
    }
}

/// What tests are done to.
struct Subject<'a> {
    copy: &'a Loaded,
    buffers: &'a Buffers,
    /// Whether there is a shell for commands; why not.
    shell: &'a Result<(), String>,
}

impl Subject<'_> {
    /// How often each loaded program has run so far.
    fn runs(&self) -> BTreeMap<String, u64> {
        let programs = self.copy.object.programs();
        let run = programs
            .iter()
            .filter_map(|program| Some((program.name(), program.info()?.run_cnt)));
        run.collect()
    }

    fn test(&self, test: &Test, together: &mut Together<'_>) -> TestEvidence {
        let mut seen = TestEvidence::of(test.clone());
        let began = Instant::now();
        if let Err(why) = self.observe(test, together, &mut seen) {
            seen.not_run = Some(why);
        }
        seen.micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        seen
    }

    fn observe(
        &self,
        test: &Test,
        together: &mut Together<'_>,
        seen: &mut TestEvidence,
    ) -> Result<(), String> {
        let expected = &test.expected;
        let mut trace = if expected.trace.is_empty() {
            None
        } else {
            Some(Trace::open()?)
        };
        let before = expected
            .maps
            .iter()
            .map(|map| self.entries_before(map))
            .collect::<Result<Vec<_>, _>>()?;
        let ran = self.runs();
        self.buffers.forget();
        let mut watch = || {
            self.buffers.take();
            if let Some(trace) = &mut trace {
                trace.take();
            }
        };
        let done = action::act(self, test, together, &mut watch, seen);
        wait(expected, Duration::from_millis(test.wait_ms), &mut watch);
        done?;
        if together.counts {
            let now = self.runs();
            let since = |(name, count): (String, u64)| {
                let before = ran.get(&name).copied().unwrap_or_default();
                (name, count.saturating_sub(before))
            };
            seen.runs = now.into_iter().map(since).collect();
        }
        if let Some(trace) = trace {
            seen.trace = text(trace.bytes());
        }
        for file in &expected.files {
            let path = Path::new(DIRECTORY).join(&file.path);
            let found = if file.absent {
                unwanted(&path)
            } else {
                std::fs::read(path).ok().map(|bytes| text(&bytes))
            };
            seen.files.insert(file.path.clone(), found);
        }
        for events in &expected.events {
            seen.events.push(self.events(events)?);
        }
        for (map, before) in expected.maps.iter().zip(before) {
            let (after, cut) = self.entries(map)?;
            seen.maps.push(MapSeen {
                map: map.map.clone(),
                before,
                after,
                cut,
            });
        }
        Ok(())
    }

    fn entries_before(
        &self,
        expected: &MapExpected,
    ) -> Result<Vec<ukci_schema::behavior::Entry>, String> {
        if !expected.grows {
            return Ok(Vec::new());
        }
        self.entries(expected).map(|(entries, _)| entries)
    }

    fn entries(
        &self,
        expected: &MapExpected,
    ) -> Result<(Vec<ukci_schema::behavior::Entry>, bool), String> {
        let map = self.copy.map(&expected.map)?;
        map_entries::read(self.copy, map)
    }

    fn events(&self, expected: &EventsExpected) -> Result<EventsSeen, String> {
        let map = self.copy.map(&expected.map)?;
        let kind = match &expected.event_type {
            Some(name) => self
                .copy
                .object
                .type_named(name)
                .ok_or_else(|| format!("the object's BTF has no type `{name}`"))?,
            None => self.copy.types.get(&map.name()).map_or(0, |types| types.1),
        };
        let taken = self.buffers.taken(&expected.map)?;
        Ok(EventsSeen {
            map: expected.map.clone(),
            count: taken.count,
            lost: taken.lost,
            events: taken
                .events
                .iter()
                .map(|bytes| self.copy.datum(kind, bytes))
                .collect(),
        })
    }
}

/// Goes on watching for a while, if the test expects something that may come late.
fn wait(expected: &Expected, patience: Duration, watch: &mut dyn FnMut()) {
    let comes_late = !(expected.events.is_empty()
        && expected.maps.is_empty()
        && expected.runs.is_empty()
        && expected.trace.is_empty());
    let end = Instant::now() + patience;
    loop {
        watch();
        let left = end.saturating_duration_since(Instant::now());
        if !comes_late || left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(MOMENT));
    }
}

/// What a file says that should not be there; none if nothing is there. A directory is there, and so is a
/// link that leads nowhere, though they say nothing.
fn unwanted(path: &Path) -> Option<Text> {
    match std::fs::symlink_metadata(path) {
        // Below what is no directory nothing can be.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            None
        }
        Ok(found) if found.is_file() => Some(text(&std::fs::read(path).unwrap_or_default())),
        _ => Some(Text::default()),
    }
}

/// How often buffers are emptied while something else is waited for.
const MOMENT: Duration = Duration::from_millis(20);

/// As much of a text as evidence keeps.
fn text(bytes: &[u8]) -> Text {
    let kept = &bytes[..bytes.len().min(TEXT_LIMIT)];
    Text {
        text: String::from_utf8_lossy(kept).into_owned(),
        cut_bytes: (bytes.len() - kept.len()) as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::unwanted;

    #[test]
    fn whatever_has_the_name_of_a_file_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        symlink("nowhere", at("link")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert_eq!(unwanted(&at("file")).unwrap().text, "text");
        for name in ["directory", "link", "loop"] {
            assert_eq!(unwanted(&at(name)).unwrap().text, "", "{name}");
        }
        assert_eq!(unwanted(&at("nowhere")), None);
        assert_eq!(unwanted(&at("file/below")), None);
    }
}
