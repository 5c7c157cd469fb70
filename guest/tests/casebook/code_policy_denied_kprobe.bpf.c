// A kprobe on a kernel that boots locked down for confidentiality: it loads, and the perf event it
// wants is refused with EPERM, which is policy and not a missing capability.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/vfs_read")
int enter(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
