// The packet is read without any comparison with data_end.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int first(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	return *data ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
