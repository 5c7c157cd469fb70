// An array of 1 TiB: no guest here has the memory, so nothing can be said of the kernel. 5.10 holds
// an array to 4 GiB before it looks for memory, and that is an answer.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct block {
	char bytes[1 << 28];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct block);
} huge SEC(".maps");

SEC("raw_tp/sched_switch")
int touch(void *ctx)
{
	__u32 zero = 0;
	struct block *block = bpf_map_lookup_elem(&huge, &zero);

	if (block)
		block->bytes[0] = 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
