// A counter in a packed record: the atomic addition is at an odd offset of the value.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct counters {
	__u32 kind;
	char packets[8];
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counts SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct counters *value = bpf_map_lookup_elem(&counts, &zero);

	if (value)
		__sync_fetch_and_add((__u64 *)(void *)value->packets, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
