// A constant offset that is just behind a value: the map was declared with a smaller record.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 first;
	__u64 second;
	__u64 third;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16);
} records SEC(".maps");

SEC("raw_tp/sched_switch")
int add(void *ctx)
{
	__u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&records, &zero);

	if (record)
		record->third += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
