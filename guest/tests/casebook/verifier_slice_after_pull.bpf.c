// A slice of a packet is used after a helper that may move the packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *packet) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *packet, __u32 offset, void *buffer, __u32 size) __ksym;

SEC("tc")
int first_byte(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	__u8 buffer[8], *bytes;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return 0;
	bytes = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!bytes)
		return 0;
	bpf_skb_pull_data(skb, 64);
	return bytes[0];
}

char LICENSE[] SEC("license") = "GPL";
