// The kernel refuses the types of the object, and libbpf creates the map without them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_spin_lock first, second;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct value);
} counts SEC(".maps");

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct value *value = bpf_map_lookup_elem(&counts, &zero);

	if (!value)
		return 0;
	bpf_spin_lock(&value->first);
	value->count++;
	bpf_spin_unlock(&value->first);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
