// The kernel's version on a release candidate, beside a map: nobody refuses the map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	__u32 key = LINUX_KERNEL_VERSION;

	return bpf_map_lookup_elem(&seen, &key) ? 1 : 0;
}

char LICENSE[] SEC("license") = "GPL";
