// A map of maps whose inner map is of a type that never can be one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&outer, &zero) != 0;
}

char LICENSE[] SEC("license") = "GPL";
