// Raw tracepoints, under both of libbpf's spellings.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 switches, calls;

SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	__sync_fetch_and_add(&switches, 1);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__sync_fetch_and_add(&calls, ctx->args[1] > 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
