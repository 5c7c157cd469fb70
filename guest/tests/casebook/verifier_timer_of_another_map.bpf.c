// The timer lies in a value of one map, and is initialized with another.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} one SEC(".maps"), other SEC(".maps");

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct value *value = bpf_map_lookup_elem(&one, &zero);

	if (value)
		bpf_timer_init(&value->timer, &other, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
