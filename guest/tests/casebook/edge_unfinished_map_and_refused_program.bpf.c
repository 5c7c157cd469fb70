// A map that its own loader sizes, and a program that the verifier refuses: the map is told, and no
// program is tried alone, since nobody knows what the loader makes of the map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
} sized_by_its_loader SEC(".maps");

SEC("raw_tp/sys_enter")
int uses_the_map(void *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&sized_by_its_loader, &key) != 0;
}

SEC("raw_tp/sys_exit")
int bad_pointer(unsigned long long *ctx)
{
	return *(int *)ctx[0];
}

char LICENSE[] SEC("license") = "GPL";
