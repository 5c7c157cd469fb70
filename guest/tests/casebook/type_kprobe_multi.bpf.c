// One link over many functions, by pattern: fprobe underneath, since 5.18.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls, returns;

SEC("kprobe.multi/vfs_read*")
int enter(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kretprobe.multi/vfs_write")
int leave(void *ctx)
{
	__sync_fetch_and_add(&returns, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
