// A raw tracepoint with a category, which it has none of.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched/sched_switch")
int count(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
