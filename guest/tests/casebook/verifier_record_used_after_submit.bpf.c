// A record is read after it was submitted.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("raw_tp/sched_switch")
int send(void *ctx)
{
	volatile __u64 *record = bpf_ringbuf_reserve(&events, 8, 0);

	if (!record)
		return 0;
	*record = bpf_ktime_get_ns();
	bpf_ringbuf_submit((void *)record, 0);
	return *record & 1;
}

char LICENSE[] SEC("license") = "GPL";
