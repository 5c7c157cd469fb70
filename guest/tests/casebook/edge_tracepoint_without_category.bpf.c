// A tracepoint without its category, which libbpf cannot look up: its own loader adds it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("tracepoint/sched_switch")
int on_switch(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("raw_tracepoint/sched_switch")
int on_raw_switch(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
