// A ring buffer record of a size that is known at run time only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("raw_tp/sched_switch")
int send(void *ctx)
{
	void *record = bpf_ringbuf_reserve(&events, bpf_get_prandom_u32() & 63, 0);

	if (record)
		bpf_ringbuf_discard(record, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
