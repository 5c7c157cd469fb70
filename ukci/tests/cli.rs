//! The front door: the built binary in a clean environment, whole commands as pictures.

use std::process::{Command, Stdio};

/// What begins an ELF file; the rest is for a loader to judge.
const OBJECT: &[u8] = b"\x7fELF";
const ANOTHER: &[u8] = b"\x7fELF\x02";

/// Status, stdout and stderr of a command in an empty directory and environment.
fn ukci(args: &[&str]) -> String {
    ukci_with_path(args, "")
}

/// The same, with this `PATH`.
fn ukci_with_path(args: &[&str], path: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.bpf.o"), OBJECT).unwrap();
    std::fs::write(dir.path().join("x.bpf.c"), b"int x;").unwrap();
    std::fs::write(dir.path().join("README.md"), b"# A text").unwrap();
    std::fs::write(dir.path().join("x.btf.tar.xz"), b"\xfd7zXZ\0").unwrap();
    std::fs::write(dir.path().join("x.bc"), b"BC\xc0\xde\x35").unwrap();
    let tool = program_with_objects();
    std::fs::write(dir.path().join("mytool"), &tool).unwrap();
    std::fs::write(dir.path().join("plain"), &tool[..128]).unwrap();
    std::fs::create_dir(dir.path().join("other")).unwrap();
    std::fs::write(dir.path().join("other/x.bpf.o"), ANOTHER).unwrap();
    let none = "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[exclude]]\nkernel = \"debian-12-6.1\"\nreason = \"all\"\n";
    std::fs::write(dir.path().join("none.toml"), none).unwrap();
    std::fs::write(
        dir.path().join("key.toml"),
        "[[cells]]\nkernals = [\"debian-12-6.1\"]\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("float.toml"),
        "[[cells]]\nkernels = [6.10]\n",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .args(args)
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "$ ukci {}\nstatus {}\n--- stdout\n{}--- stderr\n{}",
        args.join(" "),
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
    .replace(&dir.path().display().to_string(), "DIR")
}

/// A program for `x86_64`, and two objects for BPF in it: headers, and a table of no names.
fn program_with_objects() -> Vec<u8> {
    let elf = |kind: u8, machine: u8, version: u8| {
        let mut bytes = vec![0; 193];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (bytes[16], bytes[18], bytes[20]) = (kind, machine, 1);
        (bytes[0x28], bytes[0x34], bytes[0x3a]) = (64, 64, 64);
        (bytes[0x3c], bytes[0x3e]) = (2, 1);
        // A string table of one byte, after the headers.
        (bytes[132], bytes[152], bytes[160]) = (3, 192, 1);
        bytes[0x30] = version;
        bytes
    };
    [
        elf(3, 62, 0),
        elf(1, 247, 1),
        elf(1, 247, 2),
        elf(1, 247, 1),
    ]
    .concat()
}

/// They are found on the host; what is wrong with them is said by name before anything boots.
#[test]
fn objects_in_a_program_are_artifacts() {
    let ran = ukci(&["check", "mytool", "--embedded", "-k", "4.19"]);
    insta::assert_snapshot!("embedded", ran);
    // `list` knows the same cells by the same names.
    let of = ["list", "mytool", "--embedded", "-k", "debian-12-6.1-cloud"];
    let ran = ukci(&of);
    let listed = stdout(&ran);
    let cell = |n: u8| format!("mytool-{n}/debian-12-6.1-cloud/x86_64");
    assert_eq!(listed.lines().collect::<Vec<_>>(), [cell(1), cell(2)]);
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!("help", ukci(&["--help"]));
    insta::assert_snapshot!("help_check", ukci(&["check", "--help"]));
    insta::assert_snapshot!("help_check_short", ukci(&["check", "-h"]));
    insta::assert_snapshot!("help_kernels", ukci(&["kernels", "--help"]));
    insta::assert_snapshot!("help_features", ukci(&["kernels", "features", "--help"]));
    insta::assert_snapshot!("help_environment", ukci(&["help", "environment"]));
    insta::assert_snapshot!("help_exit_status", ukci(&["help", "exit-status"]));
    insta::assert_snapshot!("help_unknown", ukci(&["help", "enviroment"]));
    assert_eq!(
        stdout(&ukci(&["help", "kernels", "features"])),
        stdout(&ukci(&["kernels", "features", "--help"]))
    );
    for command in [
        "list", "shell", "rerun", "plan", "doctor", "explain", "report",
    ] {
        let name = format!("help_{command}");
        insta::assert_snapshot!(name, ukci(&[command, "--help"]));
    }
    for command in ["render", "merge", "diff", "verifier", "schema"] {
        let name = format!("help_report_{command}");
        insta::assert_snapshot!(name, ukci(&["report", command, "--help"]));
    }
    for command in [
        "list",
        "show",
        "fetch",
        "add",
        "update",
        "booted",
        "unpack",
        "initramfs",
    ] {
        let name = format!("help_kernels_{command}");
        insta::assert_snapshot!(name, ukci(&["kernels", command, "--help"]));
    }
}

fn stdout(ran: &str) -> &str {
    let (_, text) = ran.split_once("--- stdout\n").unwrap();
    text.split_once("--- stderr\n").unwrap().0
}

#[test]
fn lists_are_data() {
    insta::assert_snapshot!("list", ukci(&["list", "x.bpf.o"]));
    insta::assert_snapshot!("list_since", ukci(&["list", "--since", "6.12"]));
    insta::assert_snapshot!(
        "list_short_names",
        ukci(&[
            "list",
            "-k",
            "bookworm",
            "-k",
            "6.12",
            "-k",
            "sid-cloud",
            "--arch",
            "amd64"
        ])
    );
    insta::assert_snapshot!(
        "list_of_matrix",
        ukci(&["list", "-m", "archs", "-k", "6.1", "--arch", "arm64"])
    );
    insta::assert_snapshot!("explain", ukci(&["explain"]));
    insta::assert_snapshot!("explain_one", ukci(&["explain", "unsupported-helper"]));
}

#[test]
fn a_kernel_is_shown_with_its_quirks() {
    let shown = ukci(&["kernels", "show", "debian-11-5.10"]);
    let quirk = "quirk       BPF is not among the active LSMs";
    assert!(stdout(&shown).contains(quirk), "{shown}");
    let other = ukci(&["kernels", "show", "debian-12-6.1"]);
    assert!(!stdout(&other).contains(quirk), "{other}");
}

#[test]
fn mistakes_get_an_error_a_hint_and_their_own_status() {
    let mistakes: &[(&str, &[&str])] = &[
        ("no_artifact", &["check"]),
        ("jobs_0", &["check", "x.bpf.o", "--jobs", "0"]),
        ("timeout_0", &["check", "x.bpf.o", "--timeout", "0s"]),
        ("format", &["check", "x.bpf.o", "--format", "yaml"]),
        ("missing_path", &["check", "absent.bpf.o"]),
        ("text", &["check", "README.md"]),
        ("bitcode", &["check", "x.bc"]),
        ("program", &["check", "plain"]),
        ("program_with_objects", &["check", "mytool"]),
        ("listed_text", &["list", "README.md"]),
        ("device", &["check", "/dev/zero"]),
        ("nothing_embedded", &["check", "plain", "--embedded"]),
        ("source", &["check", "x.bpf.c"]),
        ("same_name", &["check", "x.bpf.o", "other/x.bpf.o"]),
        ("exec_directory", &["exec", "-k", "6.1", "./other"]),
        ("exec_not_executable", &["exec", "-k", "6.1", "./README.md"]),
        (
            "exec_artifact_text",
            &["exec", "-k", "6.1", "--artifact", "README.md", "/bin/sh"],
        ),
        (
            "exec_rootfs_text",
            &["exec", "-k", "6.1", "--rootfs", "README.md", "sh"],
        ),
        (
            "exec_tty_and_stdin",
            &[
                "exec", "-k", "6.1", "--tty", "always", "--stdin", "x.bc", "/bin/sh",
            ],
        ),
        (
            "exec_file_relative",
            &["exec", "-k", "6.1", "--file", "README.md:x", "/bin/sh"],
        ),
        (
            "record_artifact_text",
            &[
                "manifest",
                "record",
                "-k",
                "6.1",
                "--artifact",
                "README.md",
                "/bin/sh",
            ],
        ),
        ("suggest_text", &["manifest", "suggest", "README.md"]),
        ("suggest_several", &["manifest", "suggest", "mytool"]),
        ("import_absent", &["manifest", "import", "absent.yaml"]),
        ("kernel_dot", &["check", "x.bpf.o", "-k", "."]),
        ("matrix_no_text", &["check", "x.bpf.o", "-m", "./mytool"]),
        (
            "unknown_kernel",
            &["check", "x.bpf.o", "--kernel", "debian-12-6.2"],
        ),
        (
            "kernel_without_digest",
            &["check", "x.bpf.o", "-k", "https://h.example/linux.deb"],
        ),
        (
            "compressed_btf",
            &["check", "x.bpf.o", "-k", "6.1", "--btf", "x.btf.tar.xz"],
        ),
        ("unknown_version", &["check", "x.bpf.o", "-k", "5.15"]),
        ("group_as_kernel", &["list", "-k", "@lts"]),
        ("pattern_as_kernel", &["list", "-k", "debian-*-cloud"]),
        ("clear_nothing", &["cache", "clear"]),
        ("odd_unit", &["cache", "prune", "--max-size", "5XB"]),
        ("ambiguous_kernel", &["check", "x.bpf.o", "-k", "cloud"]),
        (
            "not_in_matrix",
            &["check", "x.bpf.o", "-m", "archs", "-k", "4.19"],
        ),
        ("since_nothing", &["list", "--since", "9.0"]),
        ("fetch_other_arch", &["kernels", "fetch", "6.1/aarch64"]),
        ("unknown_matrix", &["check", "x.bpf.o", "--matrix", "quik"]),
        (
            "missing_matrix",
            &["check", "x.bpf.o", "--matrix", "./absent.toml"],
        ),
        (
            "unknown_key",
            &["check", "x.bpf.o", "--matrix", "./key.toml"],
        ),
        (
            "float_version",
            &["check", "x.bpf.o", "--matrix", "./float.toml"],
        ),
        (
            "zero_cells",
            &["check", "x.bpf.o", "--matrix", "./none.toml"],
        ),
        ("unknown_code", &["explain", "UNSUPPORTED_HELPERS"]),
        ("unknown_kernel_show", &["kernels", "show", "debian-9"]),
        ("nothing_to_fetch", &["kernels", "fetch"]),
        (
            "unknown_kernel_features",
            &["kernels", "features", "debian-12-6.2"],
        ),
        (
            "idle_modules",
            &["kernels", "features", "debian-12-6.1", "--modules", "other"],
        ),
    ];
    for (name, args) in mistakes {
        insta::assert_snapshot!(*name, ukci(args));
    }
}

/// An error of the libraries is a sentence of its own: nothing is put before it.
#[test]
fn an_error_is_one_sentence_and_a_hint() {
    let absent: &[(&str, &[&str])] = &[
        ("absent_features", &["kernels", "features", "./absent"]),
        (
            "absent_unpack",
            &["kernels", "unpack", "--image", "./absent", "--out", "o"],
        ),
        (
            "absent_initramfs",
            &[
                "kernels",
                "initramfs",
                "/nonexist",
                "--agent",
                "a",
                "--out",
                "o",
            ],
        ),
        ("absent_report", &["report", "render", "./absent"]),
        ("absent_lock", &["kernels", "update"]),
        ("absent_plan", &["check", "--plan", "./absent"]),
    ];
    for (name, args) in absent {
        let ran = ukci(args);
        // What the command line names is not there: the command line is wrong.
        assert!(ran.contains("\nstatus 64\n"), "{ran}");
        assert_eq!(ran.matches("failed to").count(), 1, "{ran}");
        insta::assert_snapshot!(*name, ran);
    }
}

#[test]
fn a_host_without_qemu_is_told_so_in_a_sentence() {
    let ran = ukci_with_path(&["doctor"], "/nonexistent");
    assert!(ran.contains("\nstatus 1\n"), "{ran}");
    assert!(
        stdout(&ran).contains("This host cannot boot kernels yet."),
        "{ran}"
    );
    let failed: Vec<&str> = ran.lines().filter(|line| line.contains("FAIL")).collect();
    assert!(
        failed[0].contains("FAIL the program `qemu-system-x86_64` was not found"),
        "{ran}"
    );
    for fragment in ["FAIL find", "FAIL run", "failed to find", "failed to the"] {
        assert!(!ran.contains(fragment), "{ran}");
    }
}

/// The version is the second word, which scripts take; a commit may follow in brackets.
#[test]
fn the_version_says_which_ukci_it_is() {
    let ran = ukci(&["--version"]);
    let text = stdout(&ran);
    let rest = text.strip_prefix(&format!("ukci {}", env!("CARGO_PKG_VERSION")));
    let rest = rest.unwrap_or_else(|| panic!("{ran}")).trim_end();
    assert!(
        rest.is_empty() || (rest.starts_with(" (") && rest.ends_with(')')),
        "{ran}"
    );
}

/// `COLUMNS` holds for every text.
#[test]
fn the_list_of_codes_is_as_wide_as_the_terminal() {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .arg("explain")
        .env("COLUMNS", "60")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 30, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
}
