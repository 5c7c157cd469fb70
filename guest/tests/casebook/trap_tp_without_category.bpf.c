// A tracepoint without its category.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp/sched_switch")
int count(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
