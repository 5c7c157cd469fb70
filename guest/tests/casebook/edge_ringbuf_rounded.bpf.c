// A ring buffer whose size is no power of two times the page size: libbpf rounds it up before the
// kernel sees it (since 0.8), so it is not refused.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 3 * 4096);
} events SEC(".maps");

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();

	bpf_ringbuf_output(&events, &cpu, sizeof(cpu), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
