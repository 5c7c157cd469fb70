// The NULL check of one lookup, and the use of another.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} second SEC(".maps");

SEC("raw_tp/sched_switch")
int add(void *ctx)
{
	__u32 zero = 0;
	__u64 *one = bpf_map_lookup_elem(&first, &zero);
	__u64 *other = bpf_map_lookup_elem(&second, &zero);

	if (one)
		*other += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
