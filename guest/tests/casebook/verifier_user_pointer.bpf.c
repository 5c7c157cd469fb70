// A pointer to user memory, which a kernel struct holds, is followed directly.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

SEC("fentry/vfs_read")
int BPF_PROG(on_read, void *file, char *buffer)
{
	return *(volatile char *)buffer & 1;
}

char LICENSE[] SEC("license") = "GPL";
