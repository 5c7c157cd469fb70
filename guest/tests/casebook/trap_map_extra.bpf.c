// A hash with map_extra, which is for other types, and which kernels below 5.16 have no place for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__ulong(map_extra, 5);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counts, &zero) != 0;
}

char LICENSE[] SEC("license") = "GPL";
