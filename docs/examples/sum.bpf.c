// Each LLVM unrolls and folds this loop in its own way. The same source costs the verifier 1824
// instructions with LLVM 22, 1954 with LLVM 14, and 3120 with LLVM 19. A program near the limit can
// break with a new version of the compiler.
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
