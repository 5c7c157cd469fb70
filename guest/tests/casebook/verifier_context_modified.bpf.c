// The compiler moved the context pointer before it read a field.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int second_word(struct __sk_buff *skb)
{
	int word;

	asm volatile("%[skb] += 8;"
		     "%[word] = *(u32 *)(%[skb] + 0);"
		     : [word] "=r"(word), [skb] "+r"(skb));
	return word & 1;
}

char LICENSE[] SEC("license") = "GPL";
