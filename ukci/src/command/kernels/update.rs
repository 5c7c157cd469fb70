//! `ukci kernels add` and `update`: the commands that pin the newest kernels.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ukci_pin::{Archives, Stream, Streams};
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, LockedTool, Verified};

use super::change_log;
use crate::args::{Add, Freshness, Update};
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::lock_file;
use crate::output::{BAD, GOOD, Output, WARN, label, paint};
use crate::text::text;
use ukci_harness::input_file::{self, TEXT_LIMIT};
use ukci_harness::package_version;
use ukci_harness::render::harmless;

/// Pins kernels that the lock has not got, or pins them anew.
pub(super) fn add(add: &Add, output: Output) -> Result<Exit, Failure> {
    let arches = match add.arch.as_slice() {
        [] => &[Arch::X86_64],
        some => some,
    };
    let mut wanted = Vec::new();
    for name in &add.names {
        wanted.extend(
            arches
                .iter()
                .map(|arch| Wanted::Kernel(name.clone(), *arch)),
        );
    }
    let streams = streams(None)?;
    pin_all(
        &add.lock.lock,
        &wanted,
        &streams,
        add.suite.as_deref(),
        output,
    )
}

/// Says what has been shipped since some evidence was gathered.
pub(super) fn freshness(freshness: &Freshness, output: Output) -> Result<Exit, Failure> {
    super::freshness::run(freshness, output)
}

/// What is pinned.
enum Wanted<'a> {
    /// A kernel of Debian, by its name.
    Kernel(String, Arch),
    /// The newest kernel of another distribution's stream.
    Stream(&'a Stream, Arch),
}

impl Wanted<'_> {
    const fn arch(&self) -> Arch {
        match self {
            Self::Kernel(_, arch) | Self::Stream(_, arch) => *arch,
        }
    }
}

/// Pins the newest version of kernels that the lock has, and of streams.
pub(super) fn update(update: &Update, output: Output) -> Result<Exit, Failure> {
    if update.history {
        return super::pin_versions::run(update, output);
    }
    let streams = streams(update.streams.as_deref())?;
    let lock = lock_file::read(&update.lock.lock)?;
    let of_debian = |kernel: &&LockedKernel| kernel.distro == "debian";
    let mut wanted = Vec::new();
    if update.names.is_empty() {
        let kernels = lock.kernels.iter().filter(of_debian);
        wanted.extend(kernels.map(|kernel| Wanted::Kernel(kernel.name.clone(), kernel.arch)));
        if update.suite.is_none() {
            wanted.extend(streams.all().iter().flat_map(every_arch));
        }
    }
    for name in &update.names {
        let before = wanted.len();
        wanted.extend(streams.named(name).flat_map(every_arch));
        let kernels = lock.kernels.iter().filter(of_debian);
        let kernels = kernels.filter(|kernel| kernel.name == *name);
        wanted.extend(kernels.map(|kernel| Wanted::Kernel(kernel.name.clone(), kernel.arch)));
        if wanted.len() == before && !lock.tools.iter().any(|tool| tool.name == *name) {
            return Err(unknown(name, &lock, &streams));
        }
    }
    if !update.arch.is_empty() && !wanted.is_empty() {
        wanted.retain(|wanted| update.arch.contains(&wanted.arch()));
        if wanted.is_empty() {
            let hint =
                "pin a kernel for another architecture with `ukci kernels add NAME --arch ARCH`";
            return Err(Failure::says(
                Exit::Usage,
                "the lock has none of these kernels for the architecture of `--arch`",
                Some(hint.to_owned()),
            ));
        }
    }
    let kernels = pin_all(
        &update.lock.lock,
        &wanted,
        &streams,
        update.suite.as_deref(),
        output,
    );
    if update.suite.is_none() {
        pin_tools(&update.lock.lock, &update.names, output)?;
    }
    kernels
}

fn every_arch(stream: &Stream) -> impl Iterator<Item = Wanted<'_>> {
    let arches = stream.arches().iter();
    arches.map(move |arch| Wanted::Stream(stream, *arch))
}

/// The streams of a file, or those in the executable.
fn streams(file: Option<&Path>) -> Result<Streams, Failure> {
    let path = file.unwrap_or(Path::new("kernels/streams.toml"));
    let read = match file {
        None => Streams::built_in(),
        Some(path) => {
            let text = input_file::read_text(path, TEXT_LIMIT)
                .map_err(|error| Failure::failed_to(Action::on("read", path), &error))?;
            Streams::parse(&text)
        }
    };
    read.map_err(|reason| {
        let message = format!(
            "failed to read the streams in `{}`: {reason}",
            path.display()
        );
        Failure::says(Exit::NoVerdict, &message, None)
    })
}

/// A name that is neither a kernel's of Debian nor a stream's.
fn unknown(name: &str, lock: &Lock, streams: &Streams) -> Failure {
    let of_other = lock.kernels.iter().find(|kernel| kernel.name == name);
    let stream = of_other.and_then(|kernel| {
        let is_of = |stream: &&Stream| {
            name.starts_with(&*stream.name()) && stream.distro() == kernel.distro
        };
        streams
            .all()
            .iter()
            .filter(is_of)
            .max_by_key(|stream| stream.name().len())
    });
    if of_other.is_some() {
        let message = format!("`{name}` belongs to a stream, which is updated as a whole");
        let hint = stream
            .map(|stream| format!("name its stream: `ukci kernels update {}`", stream.name()));
        return Failure::says(Exit::Usage, &message, hint);
    }
    let message = format!("there is no kernel and no stream `{name}`");
    let hint = format!(
        "add a kernel of Debian with `ukci kernels add {name}`; `kernels/streams.toml` has the streams"
    );
    Failure::says(Exit::Usage, &message, Some(hint))
}

/// Pins the guests' programs as their suites have them now: those of these names, or if there are no
/// names, all.
fn pin_tools(path: &Path, names: &[String], output: Output) -> Result<(), Failure> {
    let mut lock = lock_file::read(path)?;
    let archives = Archives::of_host();
    let is_wanted = |tool: &&mut LockedTool| names.is_empty() || names.contains(&tool.name);
    for tool in lock.tools.iter_mut().filter(is_wanted) {
        let newest = archives.pin_tool(tool);
        let newest = newest.map_err(|error| of_pin(&error))?;
        let same = (&newest.package, &newest.libraries) == (&tool.package, &tool.libraries);
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
    wanted: &[Wanted<'_>],
    streams: &Streams,
    suite: Option<&str>,
    output: Output,
) -> Result<Exit, Failure> {
    let mut lock = lock_file::read(path)?;
    let archives = Archives::of_host();
    let (mut failed, mut changes) = (Vec::new(), Vec::new());
    // Each stream of an archive that cannot be reached would wait as long as the first one did.
    let mut unreachable: BTreeSet<&str> = BTreeSet::new();
    for one in wanted {
        let (name, arch, pinned) = match one {
            Wanted::Kernel(name, arch) => {
                let known = lock.kernel(name, *arch);
                (
                    name.clone(),
                    *arch,
                    archives.pin_kernel(name, *arch, suite, known),
                )
            }
            Wanted::Stream(stream, arch) if unreachable.contains(stream.archive()) => {
                say_failed(&stream.name(), *arch, output);
                failed.push((format!("`{}` on {arch}", stream.name()), None));
                continue;
            }
            Wanted::Stream(stream, arch) => {
                let known: Vec<&LockedKernel> = lock.pins(stream.key(), *arch).collect();
                let pinned = archives.pin_stream(streams, stream, *arch, &known);
                if let Err(ukci_pin::Error::Fetch { .. }) = pinned {
                    unreachable.insert(stream.archive());
                }
                (stream.name(), *arch, pinned)
            }
        };
        match pinned {
            Ok(pinned) => changes.extend(put(&mut lock, pinned, output)),
            Err(error) => {
                say_failed(&name, arch, output);
                failed.push((format!("`{name}` on {arch}"), Some(error)));
            }
        }
    }
    lock_file::write(path, &lock)?;
    change_log::add(&path.with_file_name(change_log::FILE), &changes)?;
    let Some(first) = failed.iter().find_map(|(_, error)| error.as_ref()) else {
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
        let _ = match error {
            Some(error) => write!(text, "\n  {kernel}: {error}"),
            None => write!(text, "\n  {kernel}: its archive could not be reached"),
        };
    }
    Err(Failure::says(Exit::NoVerdict, &text, first.hint()))
}

fn say_failed(name: &str, arch: Arch, output: Output) {
    if output.chatty {
        output.say(&text!(
            "{} {} on {}",
            label(BAD, "Failed"),
            harmless(name),
            arch
        ));
    }
}

/// Puts a pin into the lock if it is a newer one. Returns the line of the change log.
fn put(lock: &mut Lock, pinned: LockedKernel, output: Output) -> Option<String> {
    let known = lock.kernel(&pinned.name, pinned.arch);
    let (style, word) = match known {
        Some(known) if known.has_bytes_of(&pinned) => (GOOD, "Unchanged"),
        Some(known) if package_version::is_older(&pinned, known) => (WARN, "Kept"),
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
            harmless(&pinned.name),
            pinned.arch,
            harmless(release)
        ));
    }
    let change = match (word, known) {
        ("Updated", Some(known)) => Some(format!(
            "`{}` on {}: `{}` instead of `{}`",
            pinned.name, pinned.arch, pinned.uname, known.uname
        )),
        ("Added", _) => Some(format!(
            "`{}` on {}: `{}`, new",
            pinned.name, pinned.arch, pinned.uname
        )),
        // The same bytes, of which nobody could say before whether they are the vendor's.
        ("Unchanged", Some(known)) if known.verified == Verified::Never => Some(format!(
            "`{}` on {}: `{}`, now confirmed by a signature",
            pinned.name, pinned.arch, pinned.uname
        )),
        _ => None,
    };
    if word == "Kept" {
        output.say(&text!(
            "{} {} is the newest that the mirrors have, and older than the pinned one",
            paint(WARN, "warning:"),
            harmless(&pinned.uname)
        ));
    }
    if change.is_some() {
        lock.put(pinned);
    }
    change
}
