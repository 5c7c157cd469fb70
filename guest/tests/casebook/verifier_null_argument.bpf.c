// The result of a lookup is handed to another helper before it is compared with NULL.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} from SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} to SEC(".maps");

SEC("raw_tp/sched_switch")
int move(void *ctx)
{
	__u32 zero = 0;
	__u64 *value = bpf_map_lookup_elem(&from, &zero);

	bpf_map_update_elem(&to, &zero, value, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
