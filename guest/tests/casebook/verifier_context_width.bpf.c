// A context field of 4 bytes is read as 8.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int measure(struct __sk_buff *skb)
{
	return *(volatile __u64 *)&skb->priority != 0;
}

char LICENSE[] SEC("license") = "GPL";
