// fentry where ftrace cannot call directly (arm64 below 6.4, riscv64 below 6.8): it loads, and the
// attachment is refused with 524 (ENOTSUPP) and no word of why.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct file;

__u64 calls;

SEC("fentry/vfs_read")
int BPF_PROG(enter, struct file *file)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
