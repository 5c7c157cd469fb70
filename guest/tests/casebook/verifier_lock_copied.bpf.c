// A map value with a spin lock is copied as a whole.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

__u64 copy;

SEC("tc")
int take(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&records, &zero);

	if (record)
		copy = *(volatile __u64 *)record;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
