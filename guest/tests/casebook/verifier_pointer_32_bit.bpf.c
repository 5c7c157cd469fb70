// A pointer is cut to 32 bits on its way.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int first(struct __sk_buff *skb)
{
	__u64 stack = 7;
	__u64 *pointer = &stack;

	asm volatile("%[pointer] <<= 32;"
		     "%[pointer] >>= 32;"
		     : [pointer] "+r"(pointer));
	return (int)*pointer;
}

char LICENSE[] SEC("license") = "GPL";
