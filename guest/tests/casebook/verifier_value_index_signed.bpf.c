// A signed index is compared with the upper bound only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct table {
	__u64 cells[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __s64);
} indices SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;
	struct table *table = bpf_map_lookup_elem(&tables, &zero);
	__s64 *index = bpf_map_lookup_elem(&indices, &zero);

	if (table && index) {
		__s64 at = *(volatile __s64 *)index;

		if (at < 16)
			table->cells[at] = 1;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
