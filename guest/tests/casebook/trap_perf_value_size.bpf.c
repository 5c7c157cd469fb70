// A perf event array with values of eight bytes: they are descriptors, of four.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
} events SEC(".maps");

SEC("raw_tp/sched_switch")
int send(void *ctx)
{
	__u64 now = 0;

	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &now, sizeof(now));
}

char LICENSE[] SEC("license") = "GPL";
