// Two defects that have nothing to do with each other: a map type that is too new, and a program
// that is wrong everywhere. Each program is shown with its own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 64);
	__type(value, __u32);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int unchecked(void *ctx)
{
	__u32 zero = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &zero);

	return *value;
}

SEC("raw_tp/sched_switch")
int filters(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_push_elem(&seen, &zero, 0);
}

char LICENSE[] SEC("license") = "GPL";
