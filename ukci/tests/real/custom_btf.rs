//! Objects that are relocated against a file of BTF instead of the kernel's own.

use crate::fixture::{K61, K510, answer, machine, run, text, ukci};

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
        let cat = ["cat", "/sys/kernel/btf/vmlinux"];
        let out = path("exec");
        let options = ["exec", "-q", "--kernel", kernel, "--out", text(&out), "--"];
        let (output, stderr) = ukci(&[&options[..], &cat[..]].concat());
        assert!(output.status.success(), "{stderr}");
        std::fs::write(path(file), output.stdout).unwrap();
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
