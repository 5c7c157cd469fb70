// The size of a copy out of a packet may be zero, which this helper does not take.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int copy(struct __sk_buff *skb)
{
	char text[32] = {};

	bpf_skb_load_bytes(skb, 0, text, skb->len & 31);
	return text[0] & 1;
}

char LICENSE[] SEC("license") = "GPL";
