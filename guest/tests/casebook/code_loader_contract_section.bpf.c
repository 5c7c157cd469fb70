// A section name of a framework's own: libbpf cannot tell the program's type, and the framework's
// loader would set it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket1")
int filter(struct __sk_buff *skb)
{
	return skb->len;
}

char LICENSE[] SEC("license") = "GPL";
