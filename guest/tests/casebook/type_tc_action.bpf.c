// An action of a tc filter: the `bpf` action of the module `act_bpf` runs it.
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("action")
int count(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TC_ACT_PIPE;
}

char LICENSE[] SEC("license") = "GPL";
