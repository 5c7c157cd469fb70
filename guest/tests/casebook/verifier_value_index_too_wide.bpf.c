// An index is masked with 31, and the array of the value has 16 elements.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct table {
	__u32 cells[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} tables SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;
	struct table *table = bpf_map_lookup_elem(&tables, &zero);

	if (table)
		table->cells[bpf_get_prandom_u32() & 31] = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
