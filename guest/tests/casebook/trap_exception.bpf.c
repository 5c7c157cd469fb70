// An exception: bpf_throw, 6.7.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern void bpf_throw(__u64 cookie) __ksym;

SEC("tc")
int throws(struct __sk_buff *skb)
{
	if (skb->len > 100000)
		bpf_throw(0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
