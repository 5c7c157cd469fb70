// A socket is looked up, which takes a reference, and is never released.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int find(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk = bpf_sk_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), -1, 0);

	return sk ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
