// Calls a function forty times, each of which makes a tail call. The kernel allows 33 of a program;
// until 6.12 those that a function made were forgotten when it returned.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} jumps SEC(".maps");

int leaves;

__attribute__((noinline)) int jump(struct __sk_buff *skb)
{
	volatile int none = 0;

	bpf_tail_call_static(skb, &jumps, 1);
	return none;
}

SEC("tc")
int leaf(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&leaves, 1);
	return 1;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	leaves = 0;
#pragma unroll
	for (int i = 0; i < 40; i++)
		jump(skb);
	return leaves;
}

char LICENSE[] SEC("license") = "GPL";
