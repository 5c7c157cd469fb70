// Two probes: the second names a function that is only a tracepoint.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/vfs_read")
int good(void *ctx)
{
	return 0;
}

SEC("kprobe/sched_switch")
int bad(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
