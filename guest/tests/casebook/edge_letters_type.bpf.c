// The kernel refuses the object's types over the name of one of them. Then it does not know where the
// lock is.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct größe {
	struct bpf_spin_lock lock;
	int length;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct größe);
} sizes SEC(".maps");

SEC("tc")
int locks(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct größe *size = bpf_map_lookup_elem(&sizes, &key);

	if (!size)
		return 0;
	bpf_spin_lock(&size->lock);
	size->length++;
	bpf_spin_unlock(&size->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
