//! `ukci doctor`: can this host boot kernels, and how well?

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use ukci_harness::arch::Accel;
use ukci_harness::cache;
use ukci_harness::catalogue::cache_dir;
use ukci_harness::compile;
use ukci_harness::machine::qemu::{Qemu, Settings};
use ukci_harness::resolve::Origin;
use ukci_schema::cell::Arch;

use crate::args::Doctor;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, GOOD, HINT, Output, WARN, paint};
use crate::text::{Text, count, text};
use crate::{carried, lock_file, runtime, stdout};
use ukci_harness::render::{harmless, quoted};

/// What was found of one thing.
enum Finding {
    /// It is as it should be.
    Ok(Text),
    /// Something cannot be done here, which most runs do not need.
    Note(Text, Option<Text>),
    /// No cell can run.
    Fail(Failure),
}

/// Runs the command: one line for each finding, with a hint below what is missing.
pub(crate) fn run(doctor: &Doctor, output: Output) -> Result<Exit, Failure> {
    let mut findings = machine();
    findings.push(agent(Arch::X86_64).map_or_else(Finding::Fail, Finding::Ok));
    findings.extend([Arch::Aarch64, Arch::Riscv64].map(another));
    findings.push(kernels()?);
    findings.push(writable_cache());
    if doctor.verify {
        findings.extend(verified(output));
    }
    findings.push(clang());
    let able = !findings.iter().any(|f| matches!(f, Finding::Fail(_)));
    let mut text = Text::default();
    for finding in findings {
        let (style, word, what, hint) = match finding {
            Finding::Ok(what) => (GOOD, "ok", what, None),
            Finding::Note(what, hint) => (WARN, "note", what, hint),
            Finding::Fail(failure) => (BAD, "FAIL", failure.message(), failure.hint()),
        };
        let word = text!("{:>6}", word);
        text.push(&text!("{} {}\n", paint(style, word), what));
        if let Some(hint) = hint {
            text.push(&text!("       {} {}\n", paint(HINT, "hint:"), hint));
        }
    }
    text.push(&Text::from(if able {
        "\nThis host can boot kernels.\n"
    } else {
        "\nThis host cannot boot kernels yet.\n"
    }));
    stdout::show(output.fitting(text))?;
    Ok(if able { Exit::Met } else { Exit::NoVerdict })
}

/// QEMU for an architecture on this host.
fn detect(accel: Option<Accel>, arch: Arch) -> Result<Qemu, Failure> {
    let settings = Settings {
        accel,
        transport: None,
        arches: vec![arch],
        cache: cache_dir(),
    };
    let found = runtime::run_to_first_signal(|_| async {
        Qemu::detect(settings, None)
            .await
            .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
    })?;
    found.ok_or_else(|| {
        Failure::says(
            Exit::Interrupted,
            "a signal ended the search for QEMU",
            None,
        )
    })
}

/// QEMU, accelerator, transport. KVM is not tried here: that takes a kernel.
fn machine() -> Vec<Finding> {
    let found = detect(None, Arch::X86_64).or_else(|_| detect(Some(Accel::Tcg), Arch::X86_64));
    let qemu = match found {
        Err(failure) => return vec![Finding::Fail(failure)],
        Ok(qemu) => qemu,
    };
    let versions = qemu.versions().iter();
    let mut findings: Vec<Finding> = versions
        .map(|(arch, version)| Finding::Ok(text!("{}: {}", arch, harmless(version))))
        .collect();
    let confined = qemu.confinement();
    let text = text!("QEMU is confined: {}", harmless(&confined.why));
    findings.push(if confined.name == "full" {
        Finding::Ok(text)
    } else {
        Finding::Note(text, None)
    });
    for (what, choice, is_slow) in [
        ("accelerator", qemu.accel(), qemu.accel().name != "kvm"),
        (
            "transport",
            qemu.transport(),
            qemu.transport().name == "virtio-serial",
        ),
    ] {
        let text = text!(
            "{} {}: {}",
            what,
            harmless(&choice.name),
            harmless(&choice.why)
        );
        findings.push(if is_slow {
            Finding::Note(text, None)
        } else {
            Finding::Ok(text)
        });
    }
    findings
}

/// The agent for an architecture, and where it comes from.
fn agent(arch: Arch) -> Result<Text, Failure> {
    let found = carried::agents().find(arch);
    let (file, origin) =
        found.map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    let path = harmless(&file.path.to_string_lossy());
    Ok(match origin {
        Origin::Carried => text!("{}: the agent is built into this ukci", arch),
        Origin::Beside => text!("{}: the agent is `{}`", arch, path),
        Origin::Variable => {
            text!(
                "{}: the agent is `{}`, which an environment variable names",
                arch,
                path
            )
        }
    })
}

/// An architecture that needs nothing of its own unless cells are of it.
fn another(arch: Arch) -> Finding {
    match detect(Some(Accel::Tcg), arch).and_then(|qemu| Ok((qemu, agent(arch)?))) {
        Ok((qemu, agent)) => {
            let version = qemu.versions().get(&arch).cloned().unwrap_or_default();
            Finding::Ok(text!("{}; {}", agent, harmless(&version)))
        }
        Err(failure) => Finding::Note(
            text!("{}: its cells cannot run here: {}", arch, failure.message()),
            failure.hint(),
        ),
    }
}

fn kernels() -> Result<Finding, Failure> {
    let catalogue = lock_file::catalogue()?;
    let kernels = &catalogue.lock().kernels;
    let is_there = kernels
        .iter()
        .filter(|kernel| catalogue.is_prepared(kernel));
    Ok(match (is_there.count(), kernels.len()) {
        (0, _) => Finding::Note(
            "no kernel has been downloaded yet; a run downloads those that it needs".into(),
            Some("download them now with `ukci kernels fetch --matrix quick`".into()),
        ),
        (there, all) => Finding::Ok(text!("{} of {} kernels have been downloaded", there, all)),
    })
}

fn writable_cache() -> Finding {
    let dir = cache_dir();
    let shown = harmless(&dir.to_string_lossy());
    let existing = dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let probe = tempfile::Builder::new()
        .prefix(".ukci-")
        .tempfile_in(existing);
    let others = std::fs::metadata(&dir).ok().and_then(|found| {
        let (owner, mode) = (found.uid(), found.mode());
        writers(owner, mode, rustix::process::geteuid().as_raw())
    });
    match (probe, others) {
        (Ok(_), Some(others)) => Finding::Note(
            text!(
                "{} the cache `{}`, and so decide what ukci runs and reports",
                others,
                shown
            ),
            Some(text!(
                "set `XDG_CACHE_HOME` to a directory that only you can write, or run: chmod go-w {}",
                harmless(&quoted(&dir.to_string_lossy()))
            )),
        ),
        (Ok(_), None) => Finding::Ok(text!("the cache `{}` can be written", shown)),
        (Err(error), _) => Finding::Note(
            text!(
                "the cache `{}` cannot be written ({}), so no kernel can be downloaded",
                shown,
                harmless(&error.to_string())
            ),
            Some("set `XDG_CACHE_HOME` to a directory that can be written".into()),
        ),
    }
}

/// Who else may write to the cache, if anybody may, in words before its name.
fn writers(owner: u32, mode: u32, us: u32) -> Option<Text> {
    if mode & 0o002 != 0 {
        return Some(Text::from("every user can change"));
    }
    if owner != us && owner != 0 {
        return Some(text!("user {} can change", owner));
    }
    (mode & 0o020 != 0).then(|| Text::from("the group can change"))
}

/// Reads all files of the cache, and removes the damaged ones but for tools, which only `make` makes.
fn verified(output: Output) -> Vec<Finding> {
    let bar = if output.live {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    bar.set_style(
        ProgressStyle::with_template("{prefix:>12} {bar:20.cyan/dim} {bytes}/{total_bytes} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_prefix("Verifying");
    let (damaged, compared) = cache::verify(&cache_dir(), &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let whole = compared - damaged.len();
    let mut findings = vec![Finding::Ok(text!(
        "{} in the cache are as they were written",
        count(whole, "file")
    ))];
    findings.extend(damaged.into_iter().map(|damage| {
        let file = harmless(&damage.file.to_string_lossy());
        if !damage.entry.kind.is_made_again() {
            let hint = "build it again with `make tools` in a checkout of ukci";
            return Finding::Note(text!("`{}` is damaged", file), Some(hint.into()));
        }
        let what = match cache::discard(&damage) {
            Ok(()) => text!(
                "`{}` was damaged and has been removed; it is made again when a run needs it",
                file
            ),
            Err(error) => text!(
                "`{}` is damaged and cannot be removed: {}",
                file,
                harmless(&error.to_string())
            ),
        };
        Finding::Note(what, None)
    }));
    findings
}

/// Only C sources need a compiler.
fn clang() -> Finding {
    match compile::newest(Path::new("x.bpf.c")) {
        Ok(clang) => Finding::Ok(text!("C sources: {}", harmless(&clang.banner))),
        Err(error) => Finding::Note(
            "C sources cannot be compiled: no clang is installed".into(),
            error.hint().map(|hint| harmless(&hint).into()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_others_can_change_is_named() {
        assert_eq!(writers(1000, 0o755, 1000), None);
        assert_eq!(writers(0, 0o755, 1000), None);
        let named = |owner, mode| writers(owner, mode, 0).unwrap_or_default();
        assert_eq!(named(1000, 0o755), text!("user {} can change", 1000_u32));
        assert_eq!(named(0, 0o1777), Text::from("every user can change"));
        assert_eq!(named(0, 0o775), Text::from("the group can change"));
    }
}
