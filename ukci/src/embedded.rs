//! Extracts the objects inside a program to files, so that they are artifacts like any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_harness::atomic_file;
use ukci_harness::catalogue::cache_dir;
use ukci_harness::render::harmless;
use ukci_harness::resolve::{self, Embedded};
use ukci_schema::artifact::name_of;

use crate::diagnostic::{Action, Failure};
use crate::output::{GOOD, Output, label};
use crate::selected::unresolved;
use crate::text::text;

/// The objects that were found in programs.
#[derive(Debug, Default)]
pub(crate) struct Extracted {
    /// Their files in the cache.
    pub(crate) files: Vec<PathBuf>,
    /// The path of the program of each, by the object's name.
    pub(crate) programs: BTreeMap<String, String>,
}

/// The files of the objects in these programs, which are said.
pub(crate) fn extract(programs: &[PathBuf], output: Output) -> Result<Extracted, Failure> {
    let mut extracted = Extracted::default();
    for program in programs {
        let found = resolve::embedded(program).map_err(|error| unresolved(&error))?;
        let count = found.len();
        for (number, object) in found.iter().enumerate() {
            let name = name(program, number, count);
            let file = write(&name, object)?;
            if output.chatty {
                output.say(&text!(
                    "{} {} at byte {} of {}: {}",
                    label(GOOD, "Found"),
                    harmless(&name),
                    object.offset,
                    harmless(&program.to_string_lossy()),
                    harmless(&programs_of(object))
                ));
            }
            extracted.files.push(file);
            let path = program.to_string_lossy().into_owned();
            extracted.programs.insert(name, path);
        }
    }
    Ok(extracted)
}

/// `mytool`, or `mytool-2` where it carries several.
fn name(program: &Path, number: usize, count: usize) -> String {
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let name = name_of(&file).to_owned();
    if count == 1 {
        name
    } else {
        format!("{name}-{}", number + 1)
    }
}

/// Enough names to recognize an object by.
fn programs_of(object: &Embedded) -> String {
    const SHOWN: usize = 4;
    let names = &object.programs;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<String>>().join(", ");
    match names.len() {
        0 => "it has no program".to_owned(),
        n if n == SHOWN + 1 => format!("{shown} and 1 more program"),
        n if n > SHOWN => format!("{shown} and {} more programs", n - SHOWN),
        _ => shown,
    }
}

/// Below the cache, in a directory named by its digest.
fn write(name: &str, object: &Embedded) -> Result<PathBuf, Failure> {
    let dir = cache_dir().join("embedded").join(&object.sha256);
    std::fs::create_dir_all(&dir)
        .map_err(|error| Failure::failed_to(Action::on("create", &dir), &error))?;
    let file = dir.join(format!("{name}.bpf.o"));
    atomic_file::write(&file, &[&object.bytes])
        .map_err(|error| Failure::failed_to(Action::on("write", &file), &error))?;
    Ok(file)
}
