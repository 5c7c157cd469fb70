// A timer in a map that is declared by its sizes alone.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct record));
} records SEC(".maps");

SEC("tc")
int start(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct record *record = bpf_map_lookup_elem(&records, &zero);

	if (record)
		bpf_timer_init(&record->timer, &records, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
