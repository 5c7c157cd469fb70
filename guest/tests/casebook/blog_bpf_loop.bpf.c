// A callback helper that is too new for 5.10 (5.17), beside a program that is not. 5.10 does not
// name the helper: it stumbles over the callback.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 turns, calls;

static int turn(__u32 index, void *data)
{
	__sync_fetch_and_add(&turns, 1);
	return 0;
}

SEC("raw_tp/sched_switch")
int looping(void *ctx)
{
	bpf_loop(8, turn, NULL, 0);
	return 0;
}

SEC("raw_tp/sched_switch")
int plain(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
