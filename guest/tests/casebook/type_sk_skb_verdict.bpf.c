// A verdict that needs no parser: since 5.13.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

__u64 messages;

SEC("sk_skb/verdict")
int verdict(struct __sk_buff *skb)
{
	__sync_fetch_and_add(&messages, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
