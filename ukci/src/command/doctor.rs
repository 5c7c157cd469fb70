//! `ukci doctor`: can this host run cells, and how well?

use std::path::Path;

use ukci_harness::arch::Accel;
use ukci_harness::catalogue::cache_dir;
use ukci_harness::machine::qemu::{Qemu, Settings};
use ukci_harness::resolve;
use ukci_schema::cell::Arch;

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, GOOD, HINT, Output, WARN, paint};

/// What was found of one thing.
enum Finding {
    Ok(String),
    Note(String),
    Fail(Failure),
}

/// Runs the command: one line a finding, a hint for what fails.
pub(crate) fn run(output: Output) -> Result<Exit, Failure> {
    let mut findings = machine();
    findings.push(agent());
    findings.extend([Arch::Aarch64, Arch::Riscv64].map(another));
    findings.push(kernels()?);
    findings.push(cache());
    let mut text = String::new();
    let mut hints = Vec::new();
    let mut able = true;
    for finding in findings {
        let (style, word, what) = match finding {
            Finding::Ok(what) => (GOOD, "ok", what),
            Finding::Note(what) => (WARN, "note", what),
            Finding::Fail(failure) => {
                able = false;
                hints.extend(failure.hint().map(str::to_owned));
                (BAD, "FAIL", failure.message().to_owned())
            }
        };
        text.push_str(&format!(
            "{} {what}\n",
            paint(style, format_args!("{word:>6}"))
        ));
    }
    for hint in hints {
        text.push_str(&format!("\n{} {hint}\n", paint(HINT, "hint:")));
    }
    output.say(&text);
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
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed_to("start a runtime", &error))?
        .block_on(Qemu::detect(settings, None))
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

/// An architecture that needs nothing of its own unless cells are of it.
fn another(arch: Arch) -> Finding {
    let failure = match (detect(Some(Accel::Tcg), arch), resolve::agent(arch)) {
        (Ok(qemu), Ok(_)) => {
            let version = qemu.versions().get(&arch).cloned().unwrap_or_default();
            return Finding::Ok(format!("{arch}: {version}, and its agent"));
        }
        (Err(failure), _) => failure,
        (_, Err(error)) => Failure::of(Exit::NoVerdict, &error, error.hint()),
    };
    let what = failure.message();
    let hint = failure.hint();
    let hint = hint.map_or(String::new(), |hint| format!("\n       hint: {hint}"));
    Finding::Note(format!("cells for {arch} cannot run here: {what}{hint}"))
}

/// QEMU, accelerator, transport. KVM is not tried here: that takes a kernel.
fn machine() -> Vec<Finding> {
    let found = detect(None, Arch::X86_64).or_else(|_| detect(Some(Accel::Tcg), Arch::X86_64));
    match found {
        Err(failure) => vec![Finding::Fail(failure)],
        Ok(qemu) => {
            let mut findings: Vec<Finding> = qemu
                .versions()
                .iter()
                .map(|(arch, version)| Finding::Ok(format!("{arch}: {version}")))
                .collect();
            let accel = qemu.accel();
            let text = format!("accelerator {}: {}", accel.name, accel.why);
            findings.push(if accel.name == "kvm" {
                Finding::Ok(text)
            } else {
                Finding::Note(text)
            });
            let transport = qemu.transport();
            let text = format!("transport {}: {}", transport.name, transport.why);
            findings.push(if transport.name == "virtio-serial" {
                Finding::Note(text)
            } else {
                Finding::Ok(text)
            });
            findings
        }
    }
}

fn agent() -> Finding {
    match resolve::agent(Arch::X86_64) {
        Ok(file) => Finding::Ok(format!("agent `{}`", file.path.display())),
        Err(error) => Finding::Fail(Failure::of(Exit::NoVerdict, &error, error.hint())),
    }
}

fn kernels() -> Result<Finding, Failure> {
    let catalogue = crate::lock_file::catalogue()?;
    let kernels = &catalogue.lock().kernels;
    let at_hand = kernels
        .iter()
        .filter(|kernel| catalogue.is_prepared(kernel))
        .count();
    let text = format!(
        "{at_hand} of {} kernels are at hand; others are fetched when needed",
        kernels.len()
    );
    Ok(if at_hand == 0 {
        Finding::Note(text)
    } else {
        Finding::Ok(text)
    })
}

fn cache() -> Finding {
    let dir = cache_dir();
    let existing = dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let probe = tempfile::Builder::new()
        .prefix(".ukci-")
        .tempfile_in(existing);
    match probe {
        Ok(_) => Finding::Ok(format!("cache `{}` is writable", dir.display())),
        Err(error) => Finding::Note(format!(
            "cache `{}` is not writable ({error}): only kernels at hand can be used",
            dir.display()
        )),
    }
}
