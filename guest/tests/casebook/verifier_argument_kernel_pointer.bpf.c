// A key is read by the helper itself, which takes memory of the program and no pointer of the
// kernel.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	void *task = (void *)bpf_get_current_task();
	__u64 *value = bpf_map_lookup_elem(&counts, task);

	if (value)
		*value += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
