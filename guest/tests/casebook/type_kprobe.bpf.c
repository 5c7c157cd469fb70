// The entry and the return of a kernel function, the oldest way to trace: works everywhere.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 reads, returns;

SEC("kprobe/vfs_read")
int enter(void *ctx)
{
	__sync_fetch_and_add(&reads, 1);
	return 0;
}

SEC("kretprobe/vfs_read")
int leave(void *ctx)
{
	__sync_fetch_and_add(&returns, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
