// The bound of a loop comes out of a map, so that the verifier does not know it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} bounds SEC(".maps");

__u64 sum;

SEC("raw_tp/sched_switch")
int add(void *ctx)
{
	__u32 zero = 0;
	__u64 *bound = bpf_map_lookup_elem(&bounds, &zero);

	if (!bound)
		return 0;
	for (__u64 i = 0; i < *(volatile __u64 *)bound; i++)
		sum += bpf_get_prandom_u32() & i;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
