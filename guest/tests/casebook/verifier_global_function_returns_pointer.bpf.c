// A global function is verified by itself, so that nothing is known of a pointer that it returns.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

__noinline __u64 *find(int at)
{
	__u32 key = at;

	return bpf_map_lookup_elem(&counts, &key);
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u64 *count = find(0);

	return count ? *count : 0;
}

char LICENSE[] SEC("license") = "GPL";
