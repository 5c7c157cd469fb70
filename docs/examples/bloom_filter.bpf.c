// Uses a bloom filter map, which came with 5.16. Kernel 5.10 refuses it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 1000);
	__type(value, __u32);
} seen SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int handle_getppid(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (bpf_map_peek_elem(&seen, &pid))
		bpf_map_push_elem(&seen, &pid, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
