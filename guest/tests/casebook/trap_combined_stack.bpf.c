// Two frames that fit each by itself: 400 bytes and 300. A packet filter, which has no stack of its
// own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__attribute__((noinline)) static int second(int seed)
{
	volatile char room[300] = {};

	room[seed & 255] = 1;
	return room[7];
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	volatile char room[400] = {};

	room[skb->len & 255] = 1;
	return second(room[3]) & 1;
}

char LICENSE[] SEC("license") = "GPL";
