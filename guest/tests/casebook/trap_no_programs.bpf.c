// Maps and data, and no program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

int answer = 42;
const volatile int question = 7;

char LICENSE[] SEC("license") = "GPL";
