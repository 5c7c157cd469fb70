// What one socket receives: all of it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("socket")
int accept_all(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return skb->len;
}

char LICENSE[] SEC("license") = "GPL";
