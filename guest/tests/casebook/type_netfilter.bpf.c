// A netfilter hook: since 6.4.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_nf_ctx;

__u64 packets;

SEC("netfilter")
int accept(struct bpf_nf_ctx *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
