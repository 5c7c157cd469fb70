// An inner map is looked up, and used without a comparison with NULL.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} tables SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 key = 0;
	void *table = bpf_map_lookup_elem(&tables, &key);
	__u64 *value = bpf_map_lookup_elem(table, &key);

	return value ? *value : 0;
}

char LICENSE[] SEC("license") = "GPL";
