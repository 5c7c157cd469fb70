// A global function takes `void *ctx`: which type that is a verifier before 6.8 does not know.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");

__attribute__((noinline)) int emit(void *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &now, sizeof(now));
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	emit(ctx);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
