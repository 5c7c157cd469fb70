// One trampoline program for entry and exit: since 7.0.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct file;

__u64 calls;

SEC("fsession/vfs_read")
int BPF_PROG(session, struct file *file)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
