// A function of a packet filter became an XDP program, and still takes its context for a __sk_buff.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int measure(struct __sk_buff *skb)
{
	return skb->data_end - skb->data > 64 ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
