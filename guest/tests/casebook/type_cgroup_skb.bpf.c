// Packets of a cgroup's sockets, in, out, and with the direction left to whoever attaches.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("cgroup_skb/ingress")
int in(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return 1;
}

SEC("cgroup_skb/egress")
int out(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return 1;
}

SEC("cgroup/skb")
int either(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
