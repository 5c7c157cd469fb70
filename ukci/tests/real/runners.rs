//! Test runners that start their tests with `ukci runner`: cargo, cargo-nextest and go.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use crate::fixture::{K61, K612, command, machine, text};

/// How many tests the crate has.
const TESTS: usize = 50;

/// What every test does: it needs root, a file system of BPF, and the kernel that was asked for.
const TEST: &str = r#"
fn needs_root(n: usize) {
    let pin = format!("/sys/fs/bpf/test{n}");
    std::fs::create_dir(&pin).unwrap();
    std::fs::remove_dir(&pin).unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(release.starts_with(&std::env::var("SERIES").unwrap()), "{release}");
    if let Ok(out) = std::env::var("UKCI_OUT") {
        std::fs::write(format!("{out}/{n}.profraw"), release).unwrap();
    }
}
"#;

/// A crate of many small tests, compiled with the cargo of this host; none if there is none.
fn tests(dir: &Path) -> Option<()> {
    let write = |path: &str, text: &str| std::fs::write(dir.join(path), text).unwrap();
    std::fs::create_dir(dir.join("tests")).unwrap();
    std::fs::create_dir(dir.join("src")).unwrap();
    write(
        "Cargo.toml",
        "[package]\nname = \"rooted\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\ntest = false\n\
         doctest = false\n[profile.test]\ndebug = false\n",
    );
    write("src/lib.rs", "");
    let mut source = TEST.to_owned();
    for n in 0..TESTS {
        writeln!(
            source,
            "#[test]\n#[ignore = \"it needs root\"]\nfn test_{n:02}() {{ needs_root({n}) }}"
        )
        .unwrap();
    }
    write("tests/rooted.rs", &source);
    let built = cargo(dir, K61, &["test", "--no-run"]).output();
    let Ok(built) = built else {
        eprintln!("skipped: there is no cargo");
        return None;
    };
    succeeded(&built);
    Some(())
}

/// Cargo in the crate, with ukci as the runner.
fn cargo(dir: &Path, kernel: &str, args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    let runner = command(&["runner"]);
    let words = format!(
        "{} runner --kernel {kernel}",
        text(Path::new(runner.get_program()))
    );
    cargo
        .args(args)
        .current_dir(dir)
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", words)
        .env("CARGO_TARGET_DIR", dir.join("target"));
    for (name, value) in runner.get_envs() {
        cargo.env(name, value.unwrap());
    }
    cargo
}

fn succeeded(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_tests_of_a_crate_run_as_root_in_two_kernels_and_their_files_come_back() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    if tests(dir.path()).is_none() {
        return;
    }
    let passed = format!("{TESTS} passed; 0 failed");
    for (kernel, series) in [(K61, "6.1."), (K612, "6.12.")] {
        let out = dir.path().join(kernel);
        let mut cargo = cargo(dir.path(), kernel, &["test", "--", "--ignored"]);
        cargo.env("SERIES", series).env("UKCI_OUT", &out);
        let said = succeeded(&cargo.output().unwrap());
        assert!(said.contains(&passed), "{said}");
        for n in 0..TESTS {
            let file = out.join(format!("{n}.profraw"));
            let release = std::fs::read_to_string(file).unwrap();
            assert!(release.starts_with(series), "{release}");
        }
    }
    // A test that fails fails here.
    let mut wrong = cargo(dir.path(), K61, &["test", "--", "--ignored", "test_07"]);
    let wrong = wrong.env("SERIES", "5.4").output().unwrap();
    assert_eq!(wrong.status.code(), Some(101));
    let said = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(said.contains("test_07 ... FAILED"), "{said}");
}

#[test]
fn nextest_lists_and_runs_each_test_in_a_guest_of_its_own() {
    let Some(_machine) = machine() else { return };
    let nextest = Command::new("cargo-nextest").arg("--version").output();
    if nextest.is_err() {
        eprintln!("skipped: cargo-nextest is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    if tests(dir.path()).is_none() {
        return;
    }
    // A few of them: each takes half a second of CPU time.
    let mut few = cargo(dir.path(), K61, &["nextest", "run", "--run-ignored", "all"]);
    few.args(["--no-fail-fast", "-E", "test(/test_0[0-5]/)"]);
    let said = succeeded(&few.env("SERIES", "6.1.").output().unwrap());
    assert!(said.contains("6 tests run: 6 passed, 44 skipped"), "{said}");
}

#[test]
fn the_tests_of_a_go_package_run_as_root_in_a_kernel() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(dir.path().join(path), text).unwrap();
    write("go.mod", "module example.com/rooted\n");
    write(
        "rooted_test.go",
        "package rooted\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n\
         func TestRoot(t *testing.T) {\n\tif err := os.Mkdir(\"/sys/fs/bpf/go\", 0o700); err != nil {\n\
         \t\tt.Fatal(err)\n\t}\n}\n\nfunc TestFails(t *testing.T) { t.Fatal(\"on purpose\") }\n",
    );
    let runner = command(&["runner"]);
    let words = format!(
        "{} runner --kernel {K61}",
        text(Path::new(runner.get_program()))
    );
    let go = |test: &str| {
        let mut go = Command::new("go");
        go.args(["test", "-count=1", "-exec", &words, "-run", test, "./..."]);
        for (name, value) in runner.get_envs() {
            go.env(name, value.unwrap());
        }
        go.current_dir(dir.path()).env("GOPROXY", "off").output()
    };
    let Ok(passed) = go("TestRoot") else {
        eprintln!("skipped: there is no Go");
        return;
    };
    succeeded(&passed);
    let failed = go("TestFails").unwrap();
    let said = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("--- FAIL: TestFails"), "{said}");
}
