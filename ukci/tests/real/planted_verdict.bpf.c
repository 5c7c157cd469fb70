// From Linux 6.1.177 on, this program is refused. libbpf knows the version of the kernel that it runs
// on.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
extern int LINUX_KERNEL_VERSION __kconfig;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
SEC("tracepoint/raw_syscalls/sys_enter")
int breaks(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);
	if (LINUX_KERNEL_VERSION < VERSION(6, 1, 177)) {
		if (value)
			*value += 1;
		return 0;
	}
	asm volatile("*(u64 *)(%0 + 0) = %0" :: "r"(value) : "memory");
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
