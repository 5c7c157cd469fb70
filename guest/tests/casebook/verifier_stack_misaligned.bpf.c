// A number of 8 bytes is written to the stack at an offset that is a multiple of 4 only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int fill(void *ctx)
{
	char record[16] __attribute__((aligned(8))) = {};

	asm volatile("*(u64 *)(%[record] + 4) = %[now];"
		     :
		     : [record] "r"(record), [now] "r"(bpf_ktime_get_ns())
		     : "memory");
	sum += *(__u64 *)record;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
