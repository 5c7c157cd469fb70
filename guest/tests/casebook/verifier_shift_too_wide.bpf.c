// C leaves it undefined, and the verifier refuses it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u64 value = 1;

	asm volatile("%0 <<= 77" : "+r"(value));
	return value;
}

char LICENSE[] SEC("license") = "GPL";
