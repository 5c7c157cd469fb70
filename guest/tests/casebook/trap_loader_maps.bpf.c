// Three maps that wait for their loader, each for something else: all are told at once.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event {
	__u32 pid;
	__u8 comm[80];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
	__type(value, struct event);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(value, struct event);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} starts SEC(".maps");

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	struct event event = { .pid = 1 };
	__u32 key = 0;

	if (bpf_map_lookup_elem(&starts, &key))
		bpf_ringbuf_output(&ring, &event, sizeof(event), 0);
	return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
}

char LICENSE[] SEC("license") = "GPL";
