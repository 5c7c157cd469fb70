// A flag that no kernel knows.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__uint(map_flags, 1U << 30);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero) != 0;
}

char LICENSE[] SEC("license") = "GPL";
