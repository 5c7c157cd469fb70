// The value of a map has 64 bytes, and the map value that is passed for it has 16.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct small {
	__u64 words[2];
};

struct large {
	__u64 words[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct small);
} from SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct large);
} to SEC(".maps");

SEC("raw_tp/sched_switch")
int copy(void *ctx)
{
	__u32 zero = 0;
	struct small *value = bpf_map_lookup_elem(&from, &zero);

	if (value)
		bpf_map_update_elem(&to, &zero, value, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
