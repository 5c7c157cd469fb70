//! Objects that are relocated against a file of BTF instead of the kernel's own.

use std::path::Path;

use crate::fixture::{K61, K510, answer, check, machine, run, text, ukci};

/// `__state` is of 5.14: the BTF of 5.10 has no such member.
const SOURCE: &str = r#"
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	unsigned int __state;
} __attribute__((preserve_access_index));

unsigned int last;

SEC("tracepoint/syscalls/sys_enter_getppid")
int read_state(void *context)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	last = BPF_CORE_READ(task, __state);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
"#;

#[test]
fn a_file_of_btf_is_used_in_place_of_the_kernels_own() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("state.bpf.c"), SOURCE).unwrap();
    for (kernel, file) in [(K510, "own.btf"), (K61, "other.btf")] {
        std::fs::write(path(file), btf_of(kernel, &path("exec"))).unwrap();
    }
    let missing = "CORE_RELOCATION_FAILURE";
    let mut digests = Vec::new();
    for (file, verdict) in [
        (None, missing),
        (Some("own.btf"), missing),
        (Some("other.btf"), "pass"),
    ] {
        let manifest = path("state.toml");
        let line = file.map_or(String::new(), |file| {
            format!("btf_custom_path = \"{file}\"\n")
        });
        std::fs::write(&manifest, line).unwrap();
        let ran = run(|check| {
            check.args(["--kernel", K510, "--manifest", text(&manifest)]);
            check.arg(path("state.bpf.c"));
        });
        let cell = ran.cell("state", K510);
        assert_eq!(answer(cell), verdict, "{file:?}: {}", ran.stderr);
        let edits: Vec<String> = file
            .iter()
            .map(|file| format!("relocated against `{file}`"))
            .collect();
        assert_eq!(cell.edits, edits, "{file:?}");
        digests.push(cell.evidence_digest.clone().unwrap());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 3, "each is evidence of its own");
}

/// The bytes of a kernel's own BTF.
fn btf_of(kernel: &str, out: &Path) -> Vec<u8> {
    let cat = ["cat", "/sys/kernel/btf/vmlinux"];
    let options = ["exec", "-q", "--kernel", kernel, "--out", text(out), "--"];
    let (output, stderr) = ukci(&[&options[..], &cat[..]].concat());
    assert!(output.status.success(), "{stderr}");
    output.stdout
}

#[test]
fn an_external_btf_is_part_of_what_a_cell_is() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("state.bpf.c"), SOURCE).unwrap();
    std::fs::write(path("new.btf"), btf_of(K61, &path("exec"))).unwrap();
    let out = path("out");
    let ran = check(&out, |check| {
        check.args(["--kernel", K510, "--btf", text(&path("new.btf"))]);
        check.args(["--format", "markdown"]);
        check.arg(path("state.bpf.c"));
    });
    let cell = ran.cell("state", K510);
    assert_eq!(answer(cell), "pass", "{}", ran.stderr);
    assert!(cell.id.ends_with("/btf-new.btf"), "{}", cell.id);
    assert!(!cell.hermetic);
    assert_eq!(cell.edits, ["relocated against `new.btf`"]);
    let said = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(said.contains("with the external BTF new.btf"), "{said}");
    // What runs it again says it, too.
    assert!(ran.report.run.asked.options.contains(&"--btf".to_owned()));

    // With the same file it is the same cell, and with another one it is not run.
    let again = path("again");
    let rerun = ["rerun", text(&out), "--out", text(&again)];
    let (output, stderr) = ukci(&rerun);
    assert!(output.status.success(), "{stderr}");
    let same = "verdict, diagnosis and evidence";
    assert!(stderr.contains(same), "{stderr}");
    std::fs::write(path("new.btf"), btf_of(K510, &path("exec"))).unwrap();
    let (output, stderr) = ukci(&rerun);
    assert!(!output.status.success());
    assert!(stderr.contains("BTF `new.btf`: "), "{stderr}");

    // It is of one kernel, and of that one's architecture.
    let (btf, source) = (path("new.btf"), path("state.bpf.c"));
    let check = ["check", text(&source), "--btf", text(&btf)];
    for (options, what) in [
        (
            &["--kernel", K61, "--arch", "aarch64"][..],
            "describes a kernel for x86_64, and `debian-12-6.1-cloud` runs on aarch64",
        ),
        (
            &["--kernel", K61, "--kernel", K510],
            "describes one kernel, and the run has 2 kernels",
        ),
    ] {
        let (output, stderr) = ukci(&[&check[..], options].concat());
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains(what), "{stderr}");
    }
}
