// The verifier's log quotes lines of the source, and these have letters beyond ASCII just before a
// number.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} sizes SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int unchecked(void *ctx)
{
	__u32 key = 0; /* 键 = 0 */
	__u64 *size = bpf_map_lookup_elem(&sizes, &key); /* ключ: 1 */

	*size += 5; /* größe = 5, naïveté #7, 🐝 = 1 */
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
