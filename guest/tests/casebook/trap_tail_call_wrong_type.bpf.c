// A tail call out of a program of another type than the array's: the verifier has a word for it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int jumped(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { (void *)&jumped },
};

SEC("tc")
int enter(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 0);
	return 0;
}

SEC("xdp")
int jumped(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
