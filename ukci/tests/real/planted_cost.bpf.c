// From Linux 6.1.177 on, this program costs the verifier about twice as much. libbpf knows the version
// of the kernel that it runs on.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#define VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
extern int LINUX_KERNEL_VERSION __kconfig;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
static __always_inline __u64 spread(int rounds)
{
	__u64 sum = 0;
	for (int i = 0; i < rounds; i++) {
		__u32 k = i & 63;
		__u64 *v = bpf_map_lookup_elem(&counts, &k);
		if (v) {
			if (*v & 1) sum += *v;
			else sum |= 4;
		}
	}
	return sum;
}
__u64 out;
SEC("tracepoint/raw_syscalls/sys_enter")
int grows(void *ctx)
{
	if (LINUX_KERNEL_VERSION >= VERSION(6, 1, 177))
		out = spread(60);
	else
		out = spread(30);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
