// One program array, called through from an XDP program with fragments and from one without.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &tails, 0);
	return XDP_PASS;
}

SEC("xdp.frags")
int fragments(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &tails, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
