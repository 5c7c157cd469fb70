// Two programs for one event, of which the loader takes the first that the kernel can run (Falco's
// way): the manifest names the group, and the loser is neither attached nor blamed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 turns, calls;

static int turn(__u32 index, void *data)
{
	__sync_fetch_and_add(&turns, 1);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	bpf_loop(8, turn, NULL, 0);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch_old(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
