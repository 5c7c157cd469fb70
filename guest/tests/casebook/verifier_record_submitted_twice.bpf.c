// A record of a ring buffer that is discarded twice.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

SEC("raw_tp/sys_enter")
int twice(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&records, 8, 0);

	if (!record)
		return 0;
	bpf_ringbuf_discard(record, 0);
	bpf_ringbuf_discard(record, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
