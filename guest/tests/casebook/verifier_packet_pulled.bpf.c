// bpf_skb_pull_data() ends what was known of the packet; the pointers from before are used after
// it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;

	if ((void *)(data + 14) > end)
		return 0;
	bpf_skb_pull_data(skb, 0);
	return data[12] == 8;
}

char LICENSE[] SEC("license") = "GPL";
