// A program that takes the place of another's global function. The manifest names the object that
// holds it, `type_freplace_target`: without it this cannot even load (see peer_freplace).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("freplace/replaceable")
int replacement(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
