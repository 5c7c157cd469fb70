// A dynptr over a packet and a slice of it: kfuncs of 6.4.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer,
			      __u32 buffer__szk) __ksym;

SEC("tc")
int slice(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char buffer[14];

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	return bpf_dynptr_slice(&ptr, 0, buffer, sizeof(buffer)) != 0;
}

char LICENSE[] SEC("license") = "GPL";
