// An array of 4 GiB: 5.10 refuses its size; later kernels only want the memory, and a second boot
// gives it to them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct block {
	char bytes[1 << 20];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct block);
} big SEC(".maps");

SEC("raw_tp/sched_switch")
int touch(void *ctx)
{
	__u32 zero = 0;
	struct block *block = bpf_map_lookup_elem(&big, &zero);

	if (block)
		block->bytes[0] = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
