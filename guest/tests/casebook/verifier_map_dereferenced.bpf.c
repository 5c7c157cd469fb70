// The address of a map is taken for that of its memory.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u32 *count = (void *)&counts;

	*count = 4;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
