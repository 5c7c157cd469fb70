// clang: -g0
// fentry needs BTF of the kernel, not of the object.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/vfs_read")
int read(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
