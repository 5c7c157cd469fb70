// Many user-space functions with one link, by programs that may fault in the user's memory: since 6.6.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls, returns;

SEC("uprobe.multi.s")
int enter_sleepable(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("uretprobe.multi.s")
int leave_sleepable(void *ctx)
{
	__sync_fetch_and_add(&returns, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
