//! The canonical form over all recorded evidence: another boot of the same cell, made up here from
//! what was recorded, gives the same text; anything else that was seen does not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ukci_judge::canonical::{canonical, text};
use ukci_schema::evidence::{Evidence, Log, StepOutcome};

fn recorded() -> BTreeMap<String, Evidence> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evidence");
    let mut all = BTreeMap::new();
    for kernel in fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if !kernel.is_dir() {
            continue;
        }
        for path in fs::read_dir(kernel)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            all.insert(
                path.display().to_string(),
                serde_json::from_slice(&bytes).unwrap(),
            );
        }
    }
    all
}

/// As another boot would print it: what the recording made alike is an address or a time again.
fn reprint(text: &str) -> String {
    text.replace("= ADDRESS", "= 0xffffc9000123a5b0")
        .replace("verification time N ", "verification time 1822 ")
        .replace("fd=N", "fd=17")
}

fn relog(log: &mut Log) {
    log.head = reprint(&log.head);
    log.tail = reprint(&log.tail);
}

fn another_boot(evidence: &Evidence) -> Evidence {
    let mut other = evidence.clone();
    other.open.micros += 17;
    other.load.micros += 4711;
    other.guest.memory_kib += 4;
    other.guest.boot_id = Some("another".into());
    other.guest.clock = Some(1_800_000_000);
    other
        .guest
        .cmdline
        .push_str(" console=ttyS0 tsc_early_khz=3000000");
    other.guest.memory_kib += 4096;
    relog(&mut other.log);
    for program in &mut other.programs {
        relog(&mut program.load.log);
        relog(&mut program.load.libbpf);
        if let Some(stats) = &mut program.load.verifier {
            stats.micros += 99;
        }
        if let Some(fired) = &mut program.attach.fired {
            *fired *= 3;
        }
    }
    other
        .kmsg
        .push("clocksource: Long readout interval, skipping watchdog check".into());
    other
}

#[test]
fn another_boot_comes_to_the_same_text() {
    let recorded = recorded();
    assert!(recorded.len() > 200, "{} are recorded", recorded.len());
    let mut reprinted = 0;
    for (path, evidence) in &recorded {
        let other = another_boot(evidence);
        assert_eq!(text(&other), text(evidence), "{path}");
        let logs = |e: &Evidence| {
            e.programs
                .iter()
                .map(|p| p.load.log.text())
                .collect::<String>()
        };
        reprinted += usize::from(logs(&other) != logs(evidence));
        let once = canonical(evidence);
        assert_eq!(canonical(&once), once, "{path}");
    }
    assert!(
        reprinted > 100,
        "the logs of only {reprinted} hold times or addresses"
    );
}

#[test]
fn what_was_seen_otherwise_is_another_text() {
    for (path, evidence) in recorded() {
        let whole = text(&evidence);
        let mut other = evidence.clone();
        other.load.errno = Some(4095);
        assert_ne!(text(&other), whole, "{path}");
        let mut other = evidence.clone();
        other.guest.release.push('x');
        assert_ne!(text(&other), whole, "{path}");
        let mut other = evidence.clone();
        other.log.head.push_str("libbpf: something else");
        assert_ne!(text(&other), whole, "{path}");
        let mut other = evidence.clone();
        if let Some(program) = other.programs.first_mut() {
            program.load.outcome = match program.load.outcome {
                StepOutcome::Ok => StepOutcome::Refused,
                _ => StepOutcome::Ok,
            };
            assert_ne!(text(&other), whole, "{path}");
        }
        let mut other = evidence.clone();
        let mut counted = false;
        for stats in other
            .programs
            .iter_mut()
            .filter_map(|p| p.load.verifier.as_mut())
        {
            stats.insns += 1;
            counted = true;
        }
        assert_eq!(text(&other) != whole, counted, "{path}");
    }
}
