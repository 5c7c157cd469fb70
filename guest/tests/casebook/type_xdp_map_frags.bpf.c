// The same for packets of several buffers: since 5.18.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags/devmap")
int on_device(struct xdp_md *ctx)
{
	return ctx->egress_ifindex ? XDP_PASS : XDP_DROP;
}

SEC("xdp.frags/cpumap")
int on_cpu(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
