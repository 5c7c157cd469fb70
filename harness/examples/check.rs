//! The library in one page: resolve, plan, run, report. `docs/embedding.md` shows it.
//!
//! ```sh
//! export UKCI_AGENT_X86_64=target/release/ukci-guest-x86_64
//! cargo run -p ukci-harness --example check -- x.bpf.o debian-12-6.1-cloud
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use ukci_harness::catalogue::{Catalogue, cache_dir};
use ukci_harness::event::Event;
use ukci_harness::machine::budget::Limits;
use ukci_harness::machine::qemu::{Qemu, Settings};
use ukci_harness::{render, resolve, run};
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::evidence::Mode;
use ukci_schema::plan::Plan;
use ukci_schema::report::{Asked, Report, RunInfo};

// [resolve]
/// An object on kernels of the catalogue: every file by digest, fetched where it is missing.
fn plan(object: &Path, kernels: &[String]) -> Result<(Plan, Vec<String>), Box<dyn Error>> {
    let lock = serde_json::from_str(resolve::LOCK)?;
    let catalogue = Catalogue::open(lock, &cache_dir())?;
    let artifacts = resolve::artifacts(&[object.to_owned()])?;
    let selection = resolve::Selection {
        kernels: kernels.to_vec(),
        ..resolve::Selection::default()
    };
    let manifests = resolve::Manifests::new();
    let selected = resolve::select(&selection, &artifacts, &manifests, &catalogue)?;
    Ok(resolve::resolve(
        selected,
        artifacts,
        &catalogue,
        &|_progress| {},
    )?)
}
// [resolve]

// [run]
/// Boots the plan's cells under QEMU, and tells `observe` what happens as it happens.
async fn check(
    plan: Plan,
    warnings: Vec<String>,
    out: &Path,
    observe: impl FnMut(Event) + Send,
) -> Result<Report, Box<dyn Error>> {
    let settings = Settings {
        accel: None,
        transport: None,
        arches: vec![Arch::X86_64],
        cache: cache_dir(),
    };
    // Without a kernel to try it with, KVM is not used.
    let qemu = Qemu::detect(settings, None).await?;
    let smallest = plan.cells.iter().map(|cell| cell.memory).min();
    let Limits { jobs, memory } = Limits::of(None, None, smallest.unwrap_or(256));
    let options = run::Options {
        mode: Mode::Behave,
        strict: false,
        jobs,
        memory,
        timeout: Duration::from_mins(1),
        fail_fast: false,
        copies: ukci_harness::run::Copies::WhenShared,
        out: out.to_owned(),
        cache: cache_dir(),
        remember: ukci_harness::run::Remember::Nothing,
        resume: false,
        baseline: None,
        stdin: None,
        info: info(&plan, &qemu, jobs, warnings),
    };
    // Sending `true` shuts the guests down; the report then holds what finished.
    let (_stop, cancel) = watch::channel(false);
    Ok(run::run(plan, qemu, options, cancel, observe).await?)
}
// [run]

/// What the report says of the run; what only its end knows is filled in by then.
fn info(plan: &Plan, qemu: &Qemu, jobs: usize, warnings: Vec<String>) -> RunInfo {
    let agents = plan.agents.iter();
    RunInfo {
        ukci: env!("CARGO_PKG_VERSION").into(),
        matrix: plan.matrix.clone(),
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        seconds: 0.0,
        jobs,
        qemu: qemu.versions().clone(),
        accel: qemu.accel().clone(),
        transport: qemu.transport().clone(),
        confinement: Some(qemu.confinement()),
        agents: agents
            .map(|(arch, file)| (*arch, file.sha256.clone()))
            .collect(),
        toolchains: BTreeMap::new(),
        hermetic: true,
        interrupted: false,
        warnings,
        asked: Asked::default(),
        budget: Budget::default(),
        shard: None,
    }
}

// [report]
#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it has")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let object = words.next().map(PathBuf::from);
    let object = object.ok_or("usage: check X.bpf.o KERNEL...")?;
    let kernels: Vec<String> = words.collect();

    // It fetches and unpacks: not on a thread of the runtime.
    let planned = tokio::task::spawn_blocking(move || {
        plan(&object, &kernels).map_err(|error| error.to_string())
    });
    let (plan, warnings) = planned.await??;

    let out = Path::new("ukci-out");
    let report = check(plan, warnings, out, |event| {
        if let Event::Finished { report, .. } = event {
            println!("{} {}", report.id, report.outcome);
        }
    })
    .await?;
    std::fs::write(out.join("report.json"), render::json(&report))?;

    for cell in &report.cells {
        if let Some(diagnosis) = &cell.diagnosis {
            println!("{}: {}", diagnosis.code, diagnosis.headline);
        }
    }
    println!("{}", render::summary(&report));
    Ok(())
}
// [report]
