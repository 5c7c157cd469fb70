// A pointer to an element is passed to a helper, and the index is not bounded well enough.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct names {
	char text[4][16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct names);
} table SEC(".maps");

SEC("raw_tp/sched_switch")
int keep(void *ctx)
{
	__u32 zero = 0;
	struct names *names = bpf_map_lookup_elem(&table, &zero);

	if (names)
		bpf_get_current_comm(names->text[bpf_get_prandom_u32() & 7], 16);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
