//! `ukci kernels add` and `update`: the commands that pin kernels in `kernels/lock.json`. They are
//! part of the tool with the feature `pin`.

use std::fmt::Write as _;
use std::path::Path;

use ukci_pin::Archives;
use ukci_schema::cell::Arch;
use ukci_schema::lock::LockedKernel;

use crate::args::{Add, Update};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::lock_file;
use crate::output::{BAD, GOOD, Output, WARN, label, paint};
use crate::text::text;
use ukci_harness::render::harmless;

/// Pins kernels that the lock has not got, or pins them anew.
pub(super) fn add(add: &Add, output: Output) -> Result<Exit, Failure> {
    let arches = match add.arch.as_slice() {
        [] => &[Arch::X86_64],
        some => some,
    };
    let mut wanted = Vec::new();
    for name in &add.names {
        wanted.extend(arches.iter().map(|arch| (name.clone(), *arch)));
    }
    pin_all(&add.lock.lock, &wanted, add.suite.as_deref(), output)
}

/// Pins the newest version of kernels that the lock has.
pub(super) fn update(update: &Update, output: Output) -> Result<Exit, Failure> {
    let lock = lock_file::read(&update.lock.lock)?;
    if let Some(name) = (update.names.iter()).find(|name| lock.arches(name).is_empty()) {
        let message = format!("the lock has no kernel `{name}`");
        let hint = format!("add it with `ukci kernels add {name}`");
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    let is_named =
        |kernel: &&LockedKernel| update.names.is_empty() || update.names.contains(&kernel.name);
    let wanted = lock.kernels.iter().filter(is_named);
    let wanted: Vec<(String, Arch)> = wanted.map(|k| (k.name.clone(), k.arch)).collect();
    let kernels = pin_all(&update.lock.lock, &wanted, update.suite.as_deref(), output);
    if update.names.is_empty() && update.suite.is_none() {
        pin_tools(&update.lock.lock, output)?;
    }
    kernels
}

/// Pins the guests' programs as their suites have them now.
fn pin_tools(path: &Path, output: Output) -> Result<(), Failure> {
    let mut lock = lock_file::read(path)?;
    let archives = Archives::of_host();
    for tool in &mut lock.tools {
        let newest = archives.pin_tool(tool);
        let newest = newest.map_err(|error| of_pin(&error))?;
        let same = newest.package == tool.package;
        if output.chatty {
            let word = if same { "Unchanged" } else { "Updated" };
            output.say(&text!(
                "{} {} on {} ({})",
                label(GOOD, word),
                harmless(&tool.name),
                tool.arch,
                harmless(&newest.package.version)
            ));
        }
        if !same {
            *tool = newest;
        }
    }
    lock_file::write(path, &lock)
}

fn of_pin(error: &ukci_pin::Error) -> Failure {
    Failure::of(Exit::NoVerdict, error, error.hint())
}

/// A kernel that cannot be pinned stays as it is and does not keep the others from being pinned:
/// one suite's index is at times half updated. It is the command's failure all the same.
fn pin_all(
    path: &Path,
    wanted: &[(String, Arch)],
    suite: Option<&str>,
    output: Output,
) -> Result<Exit, Failure> {
    let mut lock = lock_file::read(path)?;
    let archives = Archives::of_host();
    let mut failed = Vec::new();
    for (name, arch) in wanted {
        let known = lock.kernel(name, *arch);
        let pinned = match archives.pin_kernel(name, *arch, suite, known) {
            Ok(pinned) => pinned,
            Err(error) => {
                if output.chatty {
                    let word = label(BAD, "Failed");
                    output.say(&text!("{} {} on {}", word, harmless(name), arch));
                }
                failed.push((format!("`{name}` on {arch}"), error));
                continue;
            }
        };
        let (style, word) = match known {
            Some(known) if known.packages == pinned.packages => (GOOD, "Unchanged"),
            Some(known) if ukci_pin::is_older(&pinned, known) => (WARN, "Kept"),
            Some(_) => (GOOD, "Updated"),
            None => (GOOD, "Added"),
        };
        let release = known
            .filter(|_| word == "Kept")
            .map_or(&pinned.uname, |k| &k.uname);
        if output.chatty {
            output.say(&text!(
                "{} {} on {} ({})",
                label(style, word),
                harmless(name),
                arch,
                harmless(release)
            ));
        }
        if word == "Kept" {
            output.say(&text!(
                "{} {} is the newest that the mirrors have, and older than the pinned one",
                paint(WARN, "warning:"),
                harmless(&pinned.uname)
            ));
        } else if word != "Unchanged" {
            lock.put(pinned);
        }
    }
    lock_file::write(path, &lock)?;
    let Some((_, first)) = failed.first() else {
        return Ok(Exit::Met);
    };
    if wanted.len() == 1 {
        return Err(of_pin(first));
    }
    let mut text = format!(
        "{} of {} kernels could not be pinned; the others were written",
        failed.len(),
        wanted.len()
    );
    for (kernel, error) in &failed {
        let _ = write!(text, "\n  {kernel}: {error}");
    }
    Err(Failure::says(Exit::NoVerdict, &text, first.hint()))
}
