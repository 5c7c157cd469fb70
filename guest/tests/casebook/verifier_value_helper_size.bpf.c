// A helper is told to write 64 bytes into a map value of 16.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct name {
	char text[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct name);
} names SEC(".maps");

SEC("raw_tp/sched_switch")
int keep(void *ctx)
{
	__u32 zero = 0;
	struct name *name = bpf_map_lookup_elem(&names, &zero);

	if (name)
		bpf_probe_read_kernel(name, 64, (void *)bpf_get_current_task());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
