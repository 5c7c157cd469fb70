// Each LLVM unrolls and folds this loop in its own way: the same source takes the verifier 1824
// instructions (LLVM 22), 1954 (14) or 3120 (19). Where the limit is near, an upgrade of the
// compiler is what breaks a program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u8[64]);
} bytes SEC(".maps");

__u64 total;

SEC("raw_tp/sched_switch")
int sum(void *ctx)
{
	__u32 key = bpf_get_smp_processor_id() & 63, n, sum = 0;
	__u8 *value = bpf_map_lookup_elem(&bytes, &key);

	if (!value)
		return 0;
	n = value[0] & 63;
	for (__u32 i = 0; i < 64; i++) {
		if (i >= n)
			break;
		sum += value[i];
		if (value[i] == 7)
			sum ^= i;
	}
	total += sum;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
