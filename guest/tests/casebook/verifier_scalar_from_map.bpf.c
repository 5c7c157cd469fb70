// A pointer to kernel memory is kept in a map as a number and followed later.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} tasks SEC(".maps");

SEC("raw_tp/sched_switch")
int follow(void *ctx)
{
	__u32 zero = 0;
	__u64 *task = bpf_map_lookup_elem(&tasks, &zero);

	if (!task)
		return 0;
	if (!*task) {
		*task = bpf_get_current_task();
		return 0;
	}
	return *(volatile int *)*task;
}

char LICENSE[] SEC("license") = "GPL";
