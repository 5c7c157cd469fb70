// A helper that is too new in a global function that is called behind a constant that says no. The
// call is dead code; kernels check global functions by themselves, called or not, up to 6.7.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile _Bool use_tai = 0;
__u64 last;

__noinline int fresh(int unused)
{
	last = bpf_ktime_get_tai_ns();
	return unused;
}

SEC("raw_tp/sched_switch")
int stamp(void *ctx)
{
	if (use_tai)
		return fresh(0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
