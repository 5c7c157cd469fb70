// A field of a full socket is read of one that may be a request.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup_skb/ingress")
int priority(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 1;
	return sk->priority != 7;
}

char LICENSE[] SEC("license") = "GPL";
