// The longest prefix match without BPF_F_NO_PREALLOC, which that type demands.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct prefix {
	__u32 bits;
	__u32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__type(key, struct prefix);
	__type(value, __u64);
} routes SEC(".maps");

__u64 found;

SEC("xdp")
int look_up(struct xdp_md *ctx)
{
	struct prefix key = { .bits = 32, .address = 0x7f000001 };

	if (bpf_map_lookup_elem(&routes, &key))
		__sync_fetch_and_add(&found, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
