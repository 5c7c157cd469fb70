// A hash with a key of a KiB: more than the stack holds, and nothing to do with its entries.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
	char path[1024];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct key);
	__type(value, __u64);
} paths SEC(".maps");

struct key path;

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	return bpf_map_lookup_elem(&paths, &path) != 0;
}

char LICENSE[] SEC("license") = "GPL";
