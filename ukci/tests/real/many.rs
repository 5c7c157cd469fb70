//! An object with more refused programs than there is time and memory for at their worst.

use std::fmt::Write;

use ukci_schema::evidence::StepOutcome;

use crate::fixture::{K612, answer, check, machine, text};

/// An object of as many programs, none of which the verifier accepts.
fn refused(count: usize) -> String {
    let mut source = String::from(
        "#define SEC(x) __attribute__((section(x), used))\n\
         char LICENSE[] SEC(\"license\") = \"GPL\";\n",
    );
    for n in 0..count {
        let address = 16 + n;
        let body = format!("return *(volatile int *)(long){address};");
        writeln!(source, "SEC(\"socket\") int p{n}(void *ctx) {{ {body} }}").unwrap();
    }
    source
}

#[test]
fn two_thousand_refused_programs_are_a_verdict() {
    let Some(_machine) = machine() else { return };
    if std::process::Command::new("clang")
        .arg("--version")
        .output()
        .is_err()
        && std::process::Command::new("clang-19")
            .arg("--version")
            .output()
            .is_err()
    {
        return eprintln!("skipped: no clang is installed");
    }
    let dir = tempfile::tempdir().unwrap();
    for count in [100, 2000] {
        let source = dir.path().join(format!("refused{count}.bpf.c"));
        std::fs::write(&source, refused(count)).unwrap();
        let out = dir.path().join(format!("out{count}"));
        let ran = check(&out, |command| {
            command.args([text(&source), "--kernel", K612]);
        });
        let cell = ran.cell(&format!("refused{count}"), K612);
        assert_eq!(answer(cell), "VERIFIER_REJECTION", "{}", ran.stderr);
        assert_eq!(cell.programs.len(), count);
        let mut tried = 0;
        for program in &cell.programs {
            match program.load {
                StepOutcome::Refused => tried += 1,
                StepOutcome::NotAttempted => {
                    let why = program.reason.as_deref().unwrap_or_default();
                    assert!(why.contains("time limit"), "{}: {why:?}", program.name);
                }
                StepOutcome::Ok => panic!("{} was loaded", program.name),
            }
        }
        assert!(tried >= 100, "{tried} of {count}: {}", ran.stderr);
        eprintln!(
            "{tried} of {count} programs were tried in {:.0} s, {} boots",
            cell.seconds, cell.boots
        );
    }
}
