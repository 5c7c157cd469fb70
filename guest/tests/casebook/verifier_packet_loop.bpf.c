// Options of a TCP header are walked with a pointer that is compared once, before the loop.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int options(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u8 length;

	if ((void *)(data + 20) > end)
		return XDP_PASS;
	length = data[12] >> 4;
	data += length * 4;
	return *data ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
