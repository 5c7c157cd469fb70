// A helper that is too new, behind a constant that says no: dead code, and nobody's fault.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile _Bool use_tai = 0;
__u64 last;

SEC("raw_tp/sched_switch")
int stamp(void *ctx)
{
	last = use_tai ? bpf_ktime_get_tai_ns() : bpf_ktime_get_ns();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
