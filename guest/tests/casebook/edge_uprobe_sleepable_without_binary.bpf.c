// The same of a sleepable probe and of a static one; nothing else is in the object.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("uprobe.s/readline")
int may_sleep(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("usdt/python:function__entry")
int is_static(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
