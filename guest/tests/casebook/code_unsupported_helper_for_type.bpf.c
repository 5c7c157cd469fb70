// A helper that every kernel has, called from a type that no kernel allows it to.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/vfs_read")
int wrong_place(struct __sk_buff *skb)
{
	int word = 0;

	bpf_skb_load_bytes(skb, 0, &word, sizeof(word));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
