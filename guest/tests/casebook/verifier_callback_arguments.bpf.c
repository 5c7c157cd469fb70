// A callback of bpf_loop() is declared with an argument that nobody passes.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static int add(__u32 index, __u64 *sum, int extra)
{
	*sum += index + extra;
	return 0;
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u64 sum = 0;

	bpf_loop(4, add, &sum, 0);
	return sum;
}

char LICENSE[] SEC("license") = "GPL";
