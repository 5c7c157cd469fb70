// A map pinned by its name: the guest has a BPF file system to pin it in.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} a_name_that_is_longer_than_the_kernel_keeps SEC(".maps");

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&a_name_that_is_longer_than_the_kernel_keeps, &zero) != 0;
}

char LICENSE[] SEC("license") = "GPL";
