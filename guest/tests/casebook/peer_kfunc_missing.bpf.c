// A kfunc that no kernel has, beside a program that does not call it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_no_such_kfunc(int) __ksym;

__u64 calls;

SEC("raw_tp/sched_switch")
int bad(void *ctx)
{
	return bpf_no_such_kfunc(1);
}

SEC("raw_tp/sched_switch")
int good(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
