// A loop that waits for another CPU to change a value.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flags SEC(".maps");

SEC("raw_tp/sched_switch")
int wait(void *ctx)
{
	__u32 zero = 0;
	volatile __u64 *flag = bpf_map_lookup_elem(&flags, &zero);

	if (!flag)
		return 0;
	while (!*flag)
		;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
