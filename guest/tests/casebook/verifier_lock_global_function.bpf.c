// A global function that is called while a spin lock is held.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_spin_lock lock;
	int n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

__attribute__((noinline)) int length(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("tc")
int locked(struct __sk_buff *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return 0;
	bpf_spin_lock(&value->lock);
	value->n = length(ctx);
	bpf_spin_unlock(&value->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
