// An iterator over the elements of the second map, which are larger than those of the first.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter__bpf_map_elem {
	void *meta, *map;
	__u32 *key;
	__u64 *value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64[4]);
} stats SEC(".maps");

__u64 sum;

SEC("iter/bpf_map_elem")
int adds_up(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *value = ctx->value;

	if (value)
		sum += value[0] + value[3];
	return 0;
}

SEC("kprobe/vfs_read")
int counts(void *ctx)
{
	__u64 value[4] = {};
	__u32 key = 0, *on = bpf_map_lookup_elem(&config, &key);

	if (on)
		bpf_map_update_elem(&stats, &key, value, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
