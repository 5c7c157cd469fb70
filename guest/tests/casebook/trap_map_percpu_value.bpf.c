// A per-CPU value of 64 KiB: the per-CPU allocator has 32.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct event {
	char bytes[65536];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event);
} scratch SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero) != 0;
}

char LICENSE[] SEC("license") = "GPL";
