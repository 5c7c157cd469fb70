// A record of 8 bytes is reserved, and 16 are written to it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct record {
	__u64 first;
	__u64 second;
};

SEC("raw_tp/sched_switch")
int send(void *ctx)
{
	struct record *record = bpf_ringbuf_reserve(&events, 8, 0);

	if (!record)
		return 0;
	record->second = bpf_ktime_get_ns();
	bpf_ringbuf_submit(record, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
