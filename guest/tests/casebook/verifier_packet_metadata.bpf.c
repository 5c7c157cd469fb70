// The metadata lies before the packet and ends where the packet begins.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int first(struct xdp_md *ctx)
{
	__u32 *mark = (void *)(long)ctx->data_meta;

	return *mark == 7 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
