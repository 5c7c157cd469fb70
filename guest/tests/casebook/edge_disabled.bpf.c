// Programs that the section name switches off (`?`) are neither attached nor blamed, not even one
// that no kernel would take.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("raw_tp/sched_switch")
int on(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("?raw_tp/sched_switch")
int off(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("?kprobe/no_such_function_zzz")
int off_without_target(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("?raw_tp/sched_switch")
int off_and_unverifiable(void *ctx)
{
	return *(volatile int *)0;
}

char LICENSE[] SEC("license") = "GPL";
