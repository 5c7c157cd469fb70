// A tail call through a map that is no program array.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps");

SEC("tc")
int jump(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &numbers, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
