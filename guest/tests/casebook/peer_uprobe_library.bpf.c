// A probe of a library that a guest does not have: that says nothing of the kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("uprobe//usr/lib/no-such-library.so:function")
int enter(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
