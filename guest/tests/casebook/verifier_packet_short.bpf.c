// The end of the Ethernet header was compared with data_end, and the IP header behind it is read.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int version(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	if ((void *)(data + 14) > end)
		return XDP_PASS;
	return *(__u32 *)(data + 16) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
