// The same, and where a closed listener's connections go: since 5.14.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("sk_reuseport/migrate")
int choose(struct sk_reuseport_md *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
