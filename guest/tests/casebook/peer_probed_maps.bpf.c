// The four map types whose probes the peer called inconclusive: every locked kernel has them all.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf SEC(".maps");

SEC("raw_tp/sched_switch")
int use_all(void *ctx)
{
	__u32 zero = 0;
	__u64 one = 1;

	bpf_map_update_elem(&array, &zero, &one, BPF_ANY);
	bpf_map_update_elem(&hash, &zero, &one, BPF_ANY);
	bpf_ringbuf_output(&ringbuf, &one, sizeof(one), 0);
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &one, sizeof(one));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
