// A hash of more bytes than the kernel counts in 32 bits: refused by its size, not for want of
// memory.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 0xf0000000);
	__type(key, __u64);
	__type(value, __u64);
} huge SEC(".maps");

SEC("raw_tp/sched_switch")
int touch(void *ctx)
{
	__u64 key = 0;

	bpf_map_delete_elem(&huge, &key);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
