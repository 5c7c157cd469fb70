// The socket of a packet may be NULL, and a field of it is read without a check.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup_skb/ingress")
int family(struct __sk_buff *skb)
{
	return skb->sk->family == 2;
}

char LICENSE[] SEC("license") = "GPL";
