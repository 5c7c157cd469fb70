// The same, with the inner map in the manifest: it loads after that edit, and the pass says so.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 64);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} visibility SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&visibility, &key) != NULL;
}

char LICENSE[] SEC("license") = "GPL";
