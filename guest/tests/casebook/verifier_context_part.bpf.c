// The kernel puts a pointer of its own in place of `data`, and takes only an access to the whole
// field.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int first(struct __sk_buff *skb)
{
	return *(volatile __u8 *)&skb->data & 1;
}

char LICENSE[] SEC("license") = "GPL";
