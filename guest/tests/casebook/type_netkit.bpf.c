// The two ends of a netkit pair: since 6.7, and only with CONFIG_NETKIT.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("netkit/primary")
int primary(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

SEC("netkit/peer")
int peer(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
