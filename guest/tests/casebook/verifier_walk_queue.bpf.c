// A queue has no elements that can be walked.
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 8);
	__type(value, __u32);
} queue SEC(".maps");

static long each(void *map, __u32 *key, __u32 *value, void *ctx)
{
	return 0;
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&queue, each, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
