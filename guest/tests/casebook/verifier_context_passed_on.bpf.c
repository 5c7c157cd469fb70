// The context is kept in a map as if it were a number, and passed to a helper later.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} contexts SEC(".maps");

SEC("tc")
int load(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *kept = bpf_map_lookup_elem(&contexts, &zero);

	if (!kept)
		return 0;
	return bpf_skb_pull_data((struct __sk_buff *)*kept, 0) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
