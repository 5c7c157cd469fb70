// The object whose global function type_freplace replaces; good on its own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__noinline int replaceable(struct xdp_md *ctx)
{
	volatile int verdict = XDP_PASS;

	return ctx ? verdict : XDP_ABORTED;
}

SEC("xdp")
int target(struct xdp_md *ctx)
{
	return replaceable(ctx);
}

char LICENSE[] SEC("license") = "GPL";
