// An action of an IPv6 segment routing endpoint (`End.BPF`).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("lwt_seg6local")
int end(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return BPF_OK;
}

char LICENSE[] SEC("license") = "GPL";
