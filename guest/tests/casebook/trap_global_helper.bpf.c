// A helper that is too new in a global function, which the verifier checks by itself; the other
// program calls another one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 last;

__noinline int fresh(int unused)
{
	last = bpf_ktime_get_tai_ns();
	return unused;
}

__noinline int stale(int unused)
{
	last = bpf_ktime_get_ns();
	return unused;
}

SEC("raw_tp/sched_switch")
int new_clock(void *ctx)
{
	return fresh(0);
}

SEC("raw_tp/sched_switch")
int old_clock(void *ctx)
{
	return stale(0);
}

char LICENSE[] SEC("license") = "GPL";
