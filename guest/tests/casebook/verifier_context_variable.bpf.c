// A field of the context is chosen by a number that is known at run time only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int control(struct __sk_buff *skb)
{
	return skb->cb[bpf_get_prandom_u32() & 3] & 1;
}

char LICENSE[] SEC("license") = "GPL";
