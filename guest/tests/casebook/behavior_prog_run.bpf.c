// Drops datagrams to port 9, writes a mark into others, and returns what `bpf_csum_diff` says of
// sixteen bytes of ones: folded to 16 bits since 6.13.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/in.h>
#include <linux/udp.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	if (udp->dest == bpf_htons(9))
		return XDP_DROP;
	eth->h_source[5] = 0x99;
	return XDP_PASS;
}

SEC("tc")
int marked(struct __sk_buff *skb)
{
	return skb->mark == 77 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int checksum(struct __sk_buff *skb)
{
	__be32 ones[4] = { 0x01020304, 0xfffefdfc, 0xffffffff, 0xffffffff };

	return bpf_csum_diff(0, 0, ones, sizeof(ones), 0) > 0xffff ? 1 : 2;
}

char LICENSE[] SEC("license") = "GPL";
