// A tracepoint that exists nowhere, in its classic, raw and typed forms. The typed one is looked up
// when the program is loaded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/sched/sched_swicth")
int classic(void *ctx)
{
	return 0;
}

SEC("raw_tp/sched_swicth")
int raw(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
