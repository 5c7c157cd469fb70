// The result of a lookup is moved to a member before it is compared with NULL.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 first;
	__u64 second;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct record);
} records SEC(".maps");

SEC("raw_tp/sched_switch")
int add(void *ctx)
{
	__u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&records, &zero);
	__u64 *second = &record->second;

	asm volatile("" : "+r"(second));
	if (record)
		*second += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
