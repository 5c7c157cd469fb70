// A field is written that a packet filter can only read.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int cut(struct __sk_buff *skb)
{
	skb->len = 64;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
