// A global function may pull the packet, so that the pointers of its caller are invalid after the
// call. The log of the caller shows no helper.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__noinline int pull(struct __sk_buff *skb)
{
	return bpf_skb_pull_data(skb, 64);
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if ((void *)(data + 40) > end)
		return 0;
	if (pull(skb))
		return 0;
	return data[23];
}

char LICENSE[] SEC("license") = "GPL";
