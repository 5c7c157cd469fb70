// A bloom filter (5.16) beside a hash: only the program that uses the filter is to blame.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 64);
	__type(value, __u32);
} filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int filtering(void *ctx)
{
	__u32 value = bpf_get_prandom_u32();

	bpf_map_push_elem(&filter, &value, 0);
	return 0;
}

SEC("raw_tp/sched_switch")
int counting(void *ctx)
{
	__u32 key = bpf_get_smp_processor_id();
	__u64 one = 1;

	bpf_map_update_elem(&counts, &key, &one, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
