// Lightweight tunnels: programs of a route, at its three places.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("lwt_in")
int in(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return BPF_OK;
}

SEC("lwt_out")
int out(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return BPF_OK;
}

SEC("lwt_xmit")
int xmit(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return BPF_OK;
}

char LICENSE[] SEC("license") = "GPL";
