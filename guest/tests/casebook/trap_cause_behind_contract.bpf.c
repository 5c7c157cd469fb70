// A map without a size, and a program that the kernel would refuse anyway: the map comes first, and
// both are known.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} starts SEC(".maps");

__u64 n;

SEC("raw_tp/sched_switch")
int looks(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&starts, &key) ? 1 : 0;
}

SEC("raw_tp/sys_exit")
int pointer(unsigned long long *ctx)
{
	n = *(__u64 *)ctx[0];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
