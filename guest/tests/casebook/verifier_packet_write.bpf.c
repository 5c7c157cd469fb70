// A program for the packets of a control group writes to the packet, which it may only read.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup_skb/egress")
int mark(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if ((void *)(data + 20) > end)
		return 1;
	data[1] = 8;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
