// A fentry program writes to a struct of the kernel.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct file {
	unsigned int f_flags;
} __attribute__((preserve_access_index));

SEC("fentry/vfs_read")
int BPF_PROG(on_read, struct file *file)
{
	file->f_flags = 0;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
