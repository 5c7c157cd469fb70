//! Reads the settings of an earlier run from its report, and writes those of this run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Parser;
use ukci_harness::compile::vmlinux;
use ukci_harness::evidence_dir;
use ukci_harness::resolve::{ArtifactFile, Selection};
use ukci_schema::artifact::Form;
use ukci_schema::cell::Arch;
use ukci_schema::evidence::Mode;
use ukci_schema::report::{Asked, CellReport, Report};

use super::{Baseline, Pins, Settings};
use crate::args::{self, Machines, ManifestOf, Outputs};
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// What a report has of the options that its verdicts depend on. How many at once is not recorded.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Recorded {
    #[arg(long)]
    matrix: Option<String>,
    #[arg(long)]
    plan: Option<PathBuf>,
    #[arg(long, default_value = "behave")]
    mode: args::Mode,
    #[arg(long)]
    strict: bool,
    #[arg(long)]
    baseline: Option<PathBuf>,
    #[arg(long)]
    kernel: Vec<String>,
    #[arg(long)]
    modules: Vec<PathBuf>,
    #[arg(long)]
    btf: Option<PathBuf>,
    #[command(flatten)]
    compilation: args::Compilation,
    #[command(flatten)]
    machines: Machines,
}

/// What a run writes down of its settings; `own` are the user kernels by their names.
pub(crate) fn write(settings: &Settings, own: &BTreeMap<String, PathBuf>) -> Asked {
    let mut options: Vec<String> = Vec::new();
    let mut say = |option: &str, value: &str| {
        options.push(option.to_owned());
        if !value.is_empty() {
            options.push(value.to_owned());
        }
    };
    if let Some(plan) = &settings.plan {
        say("--plan", &plan.display().to_string());
    } else if let Some(matrix) = &settings.selection.matrix {
        say("--matrix", matrix);
    }
    if let Some(btf) = &settings.btf {
        say("--btf", &btf.display().to_string());
    }
    match settings.mode {
        Mode::Load => say("--mode", "load"),
        Mode::Attach => say("--mode", "attach"),
        Mode::Behave => {}
    }
    if settings.strict {
        say("--strict", "");
    }
    for dir in &settings.compilation.include {
        say("-I", &dir.display().to_string());
    }
    for define in &settings.compilation.define {
        say("-D", define);
    }
    match &settings.compilation.vmlinux_h {
        Some(vmlinux::Source::Auto) => say("--vmlinux-h", "auto"),
        Some(vmlinux::Source::File(file)) => say("--vmlinux-h", &file.display().to_string()),
        None => {}
    }
    if let Some(baseline) = &settings.baseline {
        say("--baseline", &baseline.path.display().to_string());
    }
    options.extend(settings.machines.options());
    let modules = settings.selection.modules.iter();
    let modules: Vec<String> = modules
        .flat_map(|dir| ["--modules".to_owned(), dir.display().to_string()])
        .collect();
    let kernels = own.iter().map(|(name, path)| {
        let named = vec!["--kernel".to_owned(), path.display().to_string()];
        (name.clone(), [named, modules.clone()].concat())
    });
    Asked {
        options,
        kernels: kernels.collect(),
        embedded: settings.embedded.clone(),
        command: settings.command_line.clone(),
    }
}

/// The settings that run `chosen` of a report again, with the same bytes. `dir` is the report's
/// directory. With `anyway`, other bytes only cause a warning.
pub(crate) fn read(
    report: Report,
    chosen: &[CellReport],
    dir: &Path,
    anyway: bool,
    cache_limit: u64,
    machines: Machines,
    outputs: Outputs,
) -> Result<Settings, Failure> {
    let names = |name: fn(&CellReport) -> &String| {
        let mut names: Vec<String> = Vec::new();
        for cell in chosen {
            if !names.contains(name(cell)) {
                names.push(name(cell).clone());
            }
        }
        names
    };
    let kernels = names(|cell| &cell.kernel);
    let recorded = parse(&report.run.asked, &kernels)?;
    // A plan has its artifacts and what their manifests say.
    let mut artifacts = match &recorded.plan {
        Some(_) => Vec::new(),
        None => names(|cell| &cell.artifact),
    };
    // A command is planned by whoever runs it again.
    let is_command = |name: &String| {
        let mut all = report.artifacts.iter();
        all.any(|a| a.name == *name && a.form == Form::Command)
    };
    artifacts.retain(|name| !is_command(name));
    let manifests = artifacts.iter().filter_map(|name| {
        let artifact = report.artifacts.iter().find(|a| a.name == *name)?;
        Some(ManifestOf {
            artifact: Some(name.clone()),
            path: artifact.manifest.as_ref()?.path.clone().into(),
        })
    });
    let manifests = manifests.collect();
    let files = artifacts.iter().map(|name| ArtifactFile {
        path: artifact(&report, name, dir),
        name: Some(name.clone()),
    });
    let artifacts = files.collect();
    let llvms: BTreeSet<String> = chosen.iter().filter_map(|c| c.llvm.clone()).collect();
    Ok(Settings {
        artifacts,
        manifests,
        command: None,
        command_line: report.run.asked.command.clone(),
        stdin: None,
        tty: None,
        plan: recorded.plan,
        btf: recorded.btf,
        selection: Selection {
            matrix: recorded.matrix,
            kernels: recorded.kernel,
            arches: arches(chosen),
            llvms: llvms.into_iter().collect(),
            modules: recorded.modules,
        },
        since: None,
        shard: None,
        embedded: report.run.asked.embedded.clone(),
        compilation: super::compilation(recorded.compilation),
        mode: recorded.mode.into(),
        strict: recorded.strict,
        fail_fast: false,
        resume: false,
        // To run a cell again is to boot it.
        remember: super::remember(true),
        cache_limit,
        baseline: recorded.baseline.map(Baseline::read).transpose()?,
        machines: machines.like(&recorded.machines),
        out: outputs.out,
        formats: outputs.format,
        only: None,
        pins: Some(Pins::of(report, chosen, anyway)),
    })
}

/// The options of the run, and those that name these kernels.
fn parse(asked: &Asked, kernels: &[String]) -> Result<Recorded, Failure> {
    let mut words: Vec<String> = asked.options.clone();
    for kernel in kernels {
        match asked.kernels.get(kernel) {
            Some(named) => words.extend(named.iter().cloned()),
            None => words.extend(["--kernel".to_owned(), kernel.clone()]),
        }
    }
    Recorded::try_parse_from(&words).map_err(|error| {
        let message = format!("the options that the report records are not understood: {error}");
        Failure::says(Exit::NoVerdict, message.trim_end(), None)
    })
}

/// The architectures to select. Without a matrix a kernel's name alone means `x86_64`.
fn arches(chosen: &[CellReport]) -> Vec<Arch> {
    let arches: BTreeSet<Arch> = chosen.iter().map(|cell| cell.arch).collect();
    if arches.iter().all(|arch| *arch == Arch::X86_64) {
        return Vec::new();
    }
    arches.into_iter().collect()
}

/// The artifact's file: the copy beside the report, else where it was, seen from here or from the
/// report. Its digest is checked with everything else.
fn artifact(report: &Report, name: &str, dir: &Path) -> PathBuf {
    let kept = dir.join(evidence_dir::artifact_path(name));
    if kept.exists() {
        return kept;
    }
    let artifact = report.artifacts.iter().find(|a| a.name == name);
    let path = PathBuf::from(artifact.map_or(name, |artifact| artifact.path.as_str()));
    if path.exists() || !dir.join(&path).exists() {
        path
    } else {
        dir.join(path)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn what_a_run_writes_of_its_settings_is_read_again() {
        let words = [
            "ukci",
            "check",
            "x.bpf.c",
            "--matrix",
            "m.toml",
            "--mode",
            "load",
            "--strict",
            "--btf",
            "own.btf",
            "-I",
            "one",
            "-I",
            "two",
            "-D",
            "A=1",
            "--vmlinux-h",
            "auto",
            "--kernel",
            "./bzImage",
            "--modules",
            "lib",
            "--timeout",
            "1m 30s",
            "--accel",
            "tcg",
            "--transport",
            "virtio-serial",
            "--cold",
            "--jobs",
            "3",
        ];
        let Command::Check(check) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not a check");
        };
        let settings = Settings::of(*check).unwrap();
        let own = BTreeMap::from([("bzImage".to_owned(), PathBuf::from("./bzImage"))]);
        let asked = write(&settings, &own);
        let kernels = ["bzImage", "debian-12-6.1"].map(str::to_owned);
        let recorded = parse(&asked, &kernels).unwrap();
        assert_eq!(recorded.matrix.as_deref(), Some("m.toml"));
        assert_eq!(recorded.mode, args::Mode::Load);
        assert!(recorded.strict);
        assert_eq!(recorded.btf, Some(PathBuf::from("own.btf")));
        assert_eq!(recorded.kernel, ["./bzImage", "debian-12-6.1"]);
        assert_eq!(recorded.modules, [PathBuf::from("lib")]);
        let machines = Machines::with_accel(args::Accel::Auto).like(&recorded.machines);
        assert_eq!(machines.options(), settings.machines.options());
        assert_eq!(machines.timeout(), std::time::Duration::from_secs(90));
        assert!(machines.cold && machines.jobs.is_none());
        // What is given when it runs again comes first.
        let given = Machines {
            timeout: Some(std::time::Duration::from_secs(5)),
            ..machines
        };
        let given = given.like(&recorded.machines);
        assert_eq!(given.timeout(), std::time::Duration::from_secs(5));
        let compilation = super::super::compilation(recorded.compilation);
        assert_eq!(compilation.include, settings.compilation.include);
        assert_eq!(compilation.define, settings.compilation.define);
        assert!(matches!(compilation.vmlinux_h, Some(vmlinux::Source::Auto)));
        // The functional tests of a manifest run again as well.
        for (words, mode) in [
            (&["ukci", "check", "x.bpf.o"][..], args::Mode::Behave),
            (
                &["ukci", "check", "x.bpf.o", "--mode", "attach"],
                args::Mode::Attach,
            ),
        ] {
            let Command::Check(check) = Cli::try_parse_from(words).unwrap().command else {
                panic!("not a check");
            };
            let asked = write(&Settings::of(*check).unwrap(), &BTreeMap::new());
            assert_eq!(parse(&asked, &[]).unwrap().mode, mode);
        }
        // Options of a later version are an error, not ignored.
        let later = Asked {
            options: vec!["--later".to_owned()],
            ..Asked::default()
        };
        assert!(parse(&later, &[]).is_err());
    }
}
