// A kfunc that reads metadata of an interface, in a program that is not loaded for one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;

SEC("xdp")
int received(struct xdp_md *ctx)
{
	__u64 timestamp = 0;

	bpf_xdp_metadata_rx_timestamp(ctx, &timestamp);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
