// A spin lock in a sleepable LSM program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct value {
	struct bpf_spin_lock lock;
	__u64 opens;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct value);
} opened SEC(".maps");

SEC("lsm.s/file_open")
int BPF_PROG(open)
{
	__u32 zero = 0;
	struct value *value = bpf_map_lookup_elem(&opened, &zero);

	if (value) {
		bpf_spin_lock(&value->lock);
		value->opens++;
		bpf_spin_unlock(&value->lock);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
