// An arena of more than 4 GiB.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2000000);
} heap SEC(".maps");

SEC("socket")
int use(struct __sk_buff *skb)
{
	return (long)&heap & 0;
}

char LICENSE[] SEC("license") = "GPL";
