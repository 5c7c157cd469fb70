// Classifiers with a link of their own, under both of libbpf's spellings: since 6.6. The old spelling
// can be attached as a filter of clsact too.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("tcx/ingress")
int in(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

SEC("tcx/egress")
int out(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

SEC("tc/ingress")
int in_again(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

SEC("tc/egress")
int out_again(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
