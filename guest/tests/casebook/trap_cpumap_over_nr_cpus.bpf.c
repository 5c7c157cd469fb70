// A cpumap with more entries than the kernel can have CPUs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u32);
} cpus SEC(".maps");

SEC("xdp")
int spread(struct xdp_md *ctx)
{
	return bpf_redirect_map(&cpus, ctx->rx_queue_index, 0);
}

char LICENSE[] SEC("license") = "GPL";
