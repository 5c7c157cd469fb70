//! `make bench`: what ukci costs, as figures that can be compared.
//!
//! Everything is measured side by side in one run, and mostly as a ratio, because the seconds of one
//! host say little about another. Figures are medians of whole processes, their children included.
//! They are printed as `name: value`, and written to `target/bench.json` (one flat object) and
//! `target/bench.md` (the table of docs/performance.md).
//!
//! `UKCI_BENCH_RUNS` sets the runs of each pair. On a host that is too busy for so many, a pair is run
//! three times and then until two minutes are over. `UKCI_BENCH_PARTS` selects parts by their names,
//! `UKCI_BENCH_TOOL` is another ukci, and `UKCI_BENCH_ACCEL` another accelerator than `tcg`.
//! `UKCI_BENCH_BASELINE` is a file of ratios: a ratio that is a fifth above it ends the benchmark
//! with status 1. Seconds never do.
#![expect(
    clippy::print_stdout,
    reason = "figures on stdout are what a benchmark is for"
)]

mod figures;
mod floor;
mod measure;
mod parts;
mod setting;

use std::process::ExitCode;

use figures::Figures;
use setting::Setting;

/// Measures something.
type Part = fn(&Setting, &mut Figures);

/// Each part, in the order in which they run.
const PARTS: &[(&str, Part)] = &[
    ("cold", parts::cold),
    ("warm", parts::warm),
    ("matrix", parts::matrix),
    ("jobs", parts::jobs),
    ("package", parts::package),
    ("many", parts::many),
];

fn main() -> ExitCode {
    let chosen = std::env::var("UKCI_BENCH_PARTS").unwrap_or_default();
    let chosen: Vec<&str> = chosen.split(',').filter(|part| !part.is_empty()).collect();
    let known = |part: &&str| PARTS.iter().any(|(name, _)| name == part);
    assert!(
        chosen.iter().all(known),
        "UKCI_BENCH_PARTS takes {:?}",
        PARTS.iter().map(|(name, _)| name).collect::<Vec<_>>()
    );
    let setting = Setting::new();
    let mut figures = Figures::default();
    for (name, part) in PARTS {
        if chosen.is_empty() || chosen.contains(name) {
            part(&setting, &mut figures);
            // What is known by now is kept, however the next part ends.
            figures.write();
        }
    }
    let worse = figures.worse_than_baseline();
    for line in &worse {
        println!("{line}");
    }
    ExitCode::from(u8::from(!worse.is_empty()))
}
