// A good program beside one whose function does not exist: the object loads, one program attaches,
// and the verdict is not a pass.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/vfs_read")
int good(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kprobe/vfs_reed")
int misspelt(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
