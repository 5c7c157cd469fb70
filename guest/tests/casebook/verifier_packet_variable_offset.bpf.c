// The length of a header is taken from the packet as a 64-bit number, and added to the packet
// pointer.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int options(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u64 length;

	if ((void *)(data + 8) > end)
		return XDP_PASS;
	length = *(volatile __u64 *)data;
	data += length;
	if ((void *)(data + 1) > end)
		return XDP_PASS;
	return *data ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
