// A spin lock in a per-CPU map. libbpf creates the map again without BTF, and the verifier then
// knows no lock in it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_spin_lock lock;
	int count;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} counts SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct value *value = bpf_map_lookup_elem(&counts, &zero);

	if (value) {
		bpf_spin_lock(&value->lock);
		value->count++;
		bpf_spin_unlock(&value->lock);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
