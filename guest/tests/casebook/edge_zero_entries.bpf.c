// A hash without a size: its loader sets it, and no manifest says to what. No kernel takes it as it
// is, and none is to blame.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 0);
	__type(key, __u32);
	__type(value, __u64);
} unsized_map SEC(".maps");

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	__u32 key = 0;
	__u64 one = 1;

	bpf_map_update_elem(&unsized_map, &key, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
