/* A manifest that sends programs to what no kernel has. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("fentry")
int traced(void *ctx)
{
	return 0;
}

SEC("fentry/vfs_fsync_range")
int fine(void *ctx)
{
	return 0;
}
