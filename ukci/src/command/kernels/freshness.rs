//! `ukci kernels freshness`: what the distributions have shipped since some evidence was gathered.

use std::collections::BTreeMap;

use serde::Serialize;
use ukci_harness::package_version;
use ukci_harness::render::harmless;
use ukci_pin::{Archives, Error, Streams};
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, VERSION_MARK, Verified};
use ukci_schema::report::{KernelInfo, Report};

use crate::args::{Freshness, FreshnessFormat};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, UNKNOWN, WARN, paint};
use crate::stdout::{pretty, print, show};
use crate::text::{Side, Text, text};
use crate::{lock_file, report_file};

/// Version of the shape that the result has as JSON.
const SCHEMA: &str = "ukci.freshness/1";

/// A kernel that was run on, and what is newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    kernel: String,
    arch: Arch,
    /// The version that was run on; none if the lock does not know its packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    freshness: State,
}

/// How a kernel stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum State {
    /// It is the newest.
    Fresh,
    /// These are newer, oldest first.
    Stale { newer: Vec<String> },
    /// Nobody knows, and why.
    Unknown { why: String },
}

/// Runs the command.
pub(super) fn run(args: &Freshness, output: Output) -> Result<Exit, Failure> {
    let lock = lock_file::lock()?;
    let report = args.report.as_deref().map(report_file::read).transpose()?;
    let kernels = match &report {
        Some(report) => of_report(report, &lock),
        None => of_lock(&lock),
    };
    let streams = Streams::built_in().map_err(|reason| {
        Failure::says(
            Exit::NoVerdict,
            &format!("failed to read the streams: {reason}"),
            None,
        )
    })?;
    let archives = Archives::of_host();
    let mut lines: Vec<Line> = Vec::new();
    // Several versions of a kernel have the same indices.
    let mut known: BTreeMap<(&str, Arch), Result<Vec<LockedKernel>, String>> = BTreeMap::new();
    for ((name, arch), pin) in kernels {
        let state = match pin {
            None => State::Unknown {
                why: "it is a user kernel, or the lock does not know its packages".to_owned(),
            },
            Some(pin) if args.offline => state(
                pin,
                Ok(lock.versions(&pin.name).into_iter().cloned().collect()),
            ),
            Some(pin) => {
                let there = known
                    .entry((&pin.name, pin.arch))
                    .or_insert_with(|| shipped(pin, &lock, &archives, &streams));
                state(pin, there.clone())
            }
        };
        lines.push(Line {
            kernel: name,
            arch,
            version: pin.map(|pin| pin.version().to_owned()),
            freshness: state,
        });
    }
    match args.print {
        FreshnessFormat::Text => show(output.fitting(table(&lines, report.as_ref()))),
        FreshnessFormat::Json => print(pretty(&serde_json::json!({
            "schema": SCHEMA,
            "evidence_of": report.as_ref().map(|report| &report.run.started),
            "kernels": lines,
        }))),
    }?;
    Ok(exit(&lines, args.fail_on_stale))
}

/// Kernels by name and architecture, each with the pin that was run on.
type Kernels<'a> = BTreeMap<(String, Arch), Option<&'a LockedKernel>>;

/// The kernels of a report, and the pins of the packages that were booted.
fn of_report<'a>(report: &Report, lock: &'a Lock) -> Kernels<'a> {
    let mut kernels = Kernels::new();
    for cell in &report.cells {
        let info = report.kernels.get(&cell.cell().kernel_key());
        let name = cell.kernel.split(VERSION_MARK).next().unwrap_or_default();
        let pin = info.and_then(|info| pin_of(name, cell.arch, info, lock));
        kernels.insert((cell.kernel.clone(), cell.arch), pin);
    }
    kernels
}

/// The pin with exactly these packages.
fn pin_of<'a>(
    name: &str,
    arch: Arch,
    info: &KernelInfo,
    lock: &'a Lock,
) -> Option<&'a LockedKernel> {
    let is_it = |pin: &&LockedKernel| {
        pin.arch == arch
            && pin.packages.len() == info.packages.len()
            && (pin.packages.iter())
                .all(|package| info.packages.get(&package.name) == Some(&package.sha256))
    };
    lock.versions(name).into_iter().find(is_it)
}

/// The present kernels of the lock that somebody has verified.
fn of_lock(lock: &Lock) -> Kernels<'_> {
    let verified = lock
        .kernels
        .iter()
        .filter(|kernel| kernel.verified != Verified::Never);
    verified
        .map(|kernel| ((kernel.name.clone(), kernel.arch), Some(kernel)))
        .collect()
}

/// What the distribution's signed indices list now of the kernel's stream.
fn shipped(
    pin: &LockedKernel,
    lock: &Lock,
    archives: &Archives,
    streams: &Streams,
) -> Result<Vec<LockedKernel>, String> {
    let known = lock.kernel(&pin.name, pin.arch);
    let said = |error: Error| error.to_string();
    if pin.distro == "debian" {
        return archives
            .pin_versions(&pin.name, pin.arch, known)
            .map_err(said);
    }
    let key = (
        pin.distro.as_str(),
        pin.release.as_str(),
        pin.flavour.as_str(),
    );
    let follows =
        |stream: &&ukci_pin::Stream| stream.key() == key && stream.arches().contains(&pin.arch);
    let stream = streams.all().iter().find(follows);
    let stream = stream.ok_or("no stream follows it".to_owned())?;
    let pins: Vec<&LockedKernel> = lock.pins(key, pin.arch).collect();
    archives
        .pin_stream(streams, stream, pin.arch, &pins)
        .map(|newest| vec![newest])
        .map_err(said)
}

/// How a pin stands against what there is. An image alone is no kernel that anybody installs.
fn state(pin: &LockedKernel, shipped: Result<Vec<LockedKernel>, String>) -> State {
    let shipped = match shipped {
        Ok(shipped) => shipped,
        Err(why) => return State::Unknown { why },
    };
    let mut newer: Vec<&LockedKernel> = (shipped.iter())
        .filter(|other| other.arch == pin.arch && other.is_whole())
        .filter(|other| package_version::is_older(pin, other))
        .collect();
    newer.sort_by(|a, b| package_version::of_kernels(a, b));
    let mut newer: Vec<String> = newer
        .iter()
        .map(|kernel| kernel.version().to_owned())
        .collect();
    newer.dedup();
    if newer.is_empty() {
        State::Fresh
    } else {
        State::Stale { newer }
    }
}

/// A stale kernel wins over one of which nobody knows.
fn exit(lines: &[Line], fail_on_stale: bool) -> Exit {
    let is_stale = |line: &Line| matches!(line.freshness, State::Stale { .. });
    let is_unknown = |line: &Line| matches!(line.freshness, State::Unknown { .. });
    if fail_on_stale && lines.iter().any(is_stale) {
        Exit::Unmet
    } else if lines.iter().all(is_unknown) || (fail_on_stale && lines.iter().any(is_unknown)) {
        Exit::NoVerdict
    } else {
        Exit::Met
    }
}

fn table(lines: &[Line], report: Option<&Report>) -> Text {
    let mut text = Text::default();
    if let Some(report) = report {
        text.push_line(&text!("Evidence of {}", harmless(&report.run.started)));
    }
    let name = lines
        .iter()
        .map(|line| line.kernel.len())
        .max()
        .unwrap_or(0);
    let version = |line: &Line| line.version.clone().unwrap_or_else(|| "-".to_owned());
    let widths = lines.iter().map(|line| version(line).len());
    let versions = widths.max().unwrap_or(0);
    for line in lines {
        let (word, rest) = match &line.freshness {
            State::Fresh => (paint(GOOD, "fresh  "), Text::default()),
            State::Stale { newer } => {
                let newest = newer.last().map_or("", String::as_str);
                let rest = text!("{} newer, up to {}", newer.len(), harmless(newest));
                (paint(WARN, "stale  "), rest)
            }
            State::Unknown { why } => (paint(UNKNOWN, "unknown"), harmless(why).into()),
        };
        let mut row = text!(
            "{}  {}  {:<7}  {}  {}",
            word,
            Text::from(harmless(&line.kernel)).aligned(Side::Left, name),
            line.arch,
            Text::from(harmless(&version(line))).aligned(Side::Left, versions),
            rest
        );
        row.trim_end();
        text.push_line(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        lock_file::lock().unwrap()
    }

    fn line(state: State) -> Line {
        Line {
            kernel: "debian-12-6.1".into(),
            arch: Arch::X86_64,
            version: Some("6.1.176-1".into()),
            freshness: state,
        }
    }

    #[test]
    fn an_old_version_is_stale_and_the_newest_is_fresh() {
        let lock = lock();
        let name = "debian-12-6.1-cloud";
        let all: Vec<LockedKernel> = lock.versions(name).into_iter().cloned().collect();
        let newest = lock.kernel(name, Arch::X86_64).unwrap();
        assert_eq!(state(newest, Ok(all.clone())), State::Fresh);
        let old = lock
            .kernel("debian-12-6.1-cloud@6.1.187-1", Arch::X86_64)
            .unwrap();
        let State::Stale { newer } = state(old, Ok(all.clone())) else {
            panic!("6.1.187 is old");
        };
        assert_eq!(newer, ["6.1.190-1", "6.1.192-1", "6.1.192-2"]);
        // Of a newer one, only the image is left.
        let images: Vec<LockedKernel> = all
            .into_iter()
            .map(|mut kernel| {
                kernel
                    .packages
                    .iter_mut()
                    .for_each(|package| package.roles.truncate(1));
                kernel
            })
            .collect();
        assert_eq!(state(old, Ok(images)), State::Fresh);
        let unknown = state(old, Err("no mirror".into()));
        assert_eq!(
            unknown,
            State::Unknown {
                why: "no mirror".into()
            }
        );
    }

    #[test]
    fn the_exit_status_says_stale_before_unknown_and_only_if_asked() {
        let stale = || {
            line(State::Stale {
                newer: vec!["6.1.177-1".into()],
            })
        };
        let unknown = || line(State::Unknown { why: String::new() });
        let fresh = || line(State::Fresh);
        assert_eq!(exit(&[stale(), unknown(), fresh()], true), Exit::Unmet);
        assert_eq!(exit(&[unknown(), fresh()], true), Exit::NoVerdict);
        assert_eq!(exit(&[fresh()], true), Exit::Met);
        assert_eq!(exit(&[stale(), unknown(), fresh()], false), Exit::Met);
        assert_eq!(exit(&[unknown()], false), Exit::NoVerdict);
    }

    #[test]
    fn a_report_names_its_kernels_by_the_digests_of_their_packages() {
        let lock = lock();
        let old = lock
            .kernel("debian-12-6.1-cloud@6.1.187-1", Arch::X86_64)
            .unwrap();
        let mut info = KernelInfo {
            release: old.uname.clone(),
            image: String::new(),
            segment: String::new(),
            packages: (old.packages.iter())
                .map(|package| (package.name.clone(), package.sha256.clone()))
                .collect(),
            hermetic: true,
        };
        let found = pin_of("debian-12-6.1-cloud", Arch::X86_64, &info, &lock);
        assert_eq!(found, Some(old));
        info.packages
            .values_mut()
            .for_each(|digest| digest.push('0'));
        assert_eq!(
            pin_of("debian-12-6.1-cloud", Arch::X86_64, &info, &lock),
            None
        );
    }
}
