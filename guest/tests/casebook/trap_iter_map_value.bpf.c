// An iterator over a map reads more of a value than the map has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

__u64 sum;

SEC("iter/bpf_map_elem")
int add(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *value = ctx->value;
	__u32 zero = 0;

	bpf_map_lookup_elem(&seen, &zero);
	if (value)
		sum += value[9];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
