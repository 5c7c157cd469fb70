// Which socket of a SO_REUSEPORT group gets a packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("sk_reuseport")
int choose(struct sk_reuseport_md *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
