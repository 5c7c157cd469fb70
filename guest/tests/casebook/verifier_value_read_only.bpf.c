// A constant, which the compiler puts into a map that programs can only read, is written to.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 limit = 7;

SEC("raw_tp/sched_switch")
int lower(void *ctx)
{
	*(volatile __u32 *)&limit = 3;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
