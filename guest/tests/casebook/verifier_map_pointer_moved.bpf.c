// Arithmetic on the map itself where its value was meant.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	__u64 *third = (__u64 *)&counts;

	asm volatile("%[third] += 24;" : [third] "+r"(third));
	*third += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
