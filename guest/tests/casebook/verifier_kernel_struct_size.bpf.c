// A struct of the kernel is declared in full and without preserve_access_index; this kernel has a
// smaller one.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct file {
	char before[4000];
	unsigned int flags;
};

SEC("fentry/vfs_read")
int BPF_PROG(on_read, struct file *file)
{
	return file->flags & 1;
}

char LICENSE[] SEC("license") = "GPL";
