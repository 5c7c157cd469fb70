// A hash map of two values of four MiB: an element is one allocation.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	__u8 bytes[4 << 20];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct value);
} big SEC(".maps");

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&big, &key) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
