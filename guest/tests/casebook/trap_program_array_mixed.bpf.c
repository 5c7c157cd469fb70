// A program array whose slots hold programs of two types: each program by itself is good.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int jumped(struct xdp_md *ctx);
int other(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { (void *)&jumped, (void *)&other },
};

SEC("xdp")
int jumped(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int other(struct __sk_buff *skb)
{
	return 0;
}

SEC("xdp")
int enter(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
