// A kprobe inside an instruction, and one beyond the function.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/vfs_read+1")
int inside(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
