// Arithmetic on data_end, which the verifier does not follow.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int last(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u8 *end = (void *)(long)ctx->data_end;

	asm volatile("%[end] += -4;" : [end] "+r"(end));
	return data > end ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
