//! Every command, killed at a random moment.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ukci_schema::verdict::VerdictKind;

use super::{Attack, KERNEL, assert_orderly, ended, report, start};

/// The longest that a command is let go on.
const LONGEST: Duration = Duration::from_secs(12);

/// How often the sweep is looked at.
const SWEPT_EACH: usize = 10;

#[test]
fn a_command_that_is_killed_leaves_nothing_half() {
    let Some(mut attack) = Attack::begin("kills", 40) else {
        return;
    };
    let object = attack.object();
    let object = object.to_str().unwrap();
    let check = ["check", object, "--kernel", KERNEL, "--out", "good"];
    let whole = start(&mut attack.ukci(&check));
    let output = ended(whole, Duration::from_mins(5), "the first run");
    assert_orderly(&output, "the first run");
    let good = report(&attack.path("good"), "the first run");
    let good = good.unwrap_or_else(|| panic!("no report of the first run: {output:?}"));
    let cell = good.cells[0].id.clone();
    let commands: [&[&str]; 9] = [
        &["check", object, "--kernel", KERNEL, "--out", "out"],
        &[
            "check", object, "--kernel", KERNEL, "--out", "out", "--resume",
        ],
        &[
            "check", object, "--kernel", KERNEL, "--out", "out", "--format", "html",
        ],
        &["rerun", "good", "--out", "out"],
        &["shell", &cell, "--report", "good", "-c", "sleep 60"],
        &["kernels", "features", KERNEL],
        &["kernels", "fetch", KERNEL],
        &["manifest", "suggest", object, "--report", "good"],
        &["report", "merge", "good", "good", "--out", "out"],
    ];
    let mut kills = 0;
    while attack.goes_on() {
        let command = *attack.random.one(&commands);
        let signals = [
            Signal::KILL,
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
        ];
        let signal = *attack.random.one(&signals);
        let longest = match command[0] {
            "manifest" | "report" => Duration::from_millis(40),
            _ => LONGEST,
        };
        let moment = attack.random.moment(longest);
        let what = format!("{}, {signal:?} after {moment:?}", command.join(" "));
        let running = start(&mut attack.ukci(command));
        let pid = Pid::from_child(&running.child);
        std::thread::sleep(moment);
        // It may have ended. It has not been waited for, so the number is still its own.
        let _ = kill_process(pid, signal);
        let twice = attack.random.below(4) == 0;
        if twice {
            std::thread::sleep(attack.random.moment(Duration::from_millis(300)));
            let _ = kill_process(pid, signal);
        }
        let output = ended(running, Duration::from_mins(2), &what);
        if output.status.code().is_some() && command[0] != "shell" {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{what}: {stderr}");
        }
        attack.assert_no_process(&what);
        if let Some(report) = report(&attack.path("out"), &what) {
            for cell in &report.cells {
                // The object passes or fails alike, or it has no verdict.
                let told = good.cells[0].verdict == cell.verdict;
                assert!(
                    told || cell.verdict == VerdictKind::Error,
                    "{what}: {cell:?}"
                );
            }
        }
        kills += 1;
        if kills % SWEPT_EACH == 0 || !attack.goes_on() {
            let last = start(&mut attack.ukci(&check));
            let output = ended(last, Duration::from_mins(5), "the run after a kill");
            assert_orderly(&output, "the run after a kill");
            attack.assert_swept(&what);
            let again = report(&attack.path("good"), &what).expect("a report");
            assert_eq!(again.cells[0].verdict, good.cells[0].verdict, "{what}");
            assert_eq!(
                again.cells[0].evidence_digest,
                good.cells[0].evidence_digest
            );
        }
    }
    eprintln!("kills: {kills}");
}
