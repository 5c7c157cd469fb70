// A ring buffer as bpf2go writes it: the type of the event stands as its value, and cilium/ebpf takes
// it out again.
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

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	struct event event = { .pid = 1 };

	bpf_ringbuf_output(&ring, &event, sizeof(event), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
