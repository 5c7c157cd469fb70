// A socket filter has no direct access to the packet.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int first(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	return (void *)(data + 1) > end ? 0 : *data;
}

char LICENSE[] SEC("license") = "GPL";
