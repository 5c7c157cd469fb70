// Names that libbpf knew before 1.0.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("classifier/old")
int filter(struct __sk_buff *skb)
{
	return 0;
}

SEC("xdp_old")
int drop(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
