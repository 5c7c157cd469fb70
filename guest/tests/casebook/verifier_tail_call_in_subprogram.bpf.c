// A tail call in a subprogram whose caller uses more than 256 bytes of stack.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

__attribute__((noinline)) static int jump(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &next, 1);
	return 0;
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	volatile char room[300] = {};

	room[skb->len & 255] = 1;
	jump(skb);
	return room[7] & 1;
}

char LICENSE[] SEC("license") = "GPL";
