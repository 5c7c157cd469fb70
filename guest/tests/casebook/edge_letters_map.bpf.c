// The kernel accepts no letter beyond ASCII in the name of a map.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} größen SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int counts(void *ctx)
{
	__u32 key = 0;
	__u64 *size = bpf_map_lookup_elem(&größen, &key);

	if (size)
		*size += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
