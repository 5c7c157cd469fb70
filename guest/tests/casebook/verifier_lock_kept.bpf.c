// A program returns on one path without giving its spin lock back.
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

SEC("tc")
int add(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&records, &zero);

	if (!record)
		return 0;
	bpf_spin_lock(&record->lock);
	record->count += 1;
	if (record->count > 1000)
		return 1;
	bpf_spin_unlock(&record->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
