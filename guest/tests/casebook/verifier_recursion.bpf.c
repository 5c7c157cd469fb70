// A global function calls itself. Each release says something else about it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__noinline int factorial(int n)
{
	volatile int factor = n;

	if (factor <= 1)
		return 1;
	return factor * factorial(factor - 1);
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	return factorial(skb->len & 3);
}

char LICENSE[] SEC("license") = "GPL";
