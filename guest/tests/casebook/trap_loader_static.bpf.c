// Programs that are `static`, as cilium/ebpf and iproute2 load them: libbpf loads none, and names the
// first alone.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp/first")
static int first(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp/second")
static int second(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
