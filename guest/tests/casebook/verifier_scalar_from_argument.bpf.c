// A kprobe follows a pointer that it got as an argument, as the kernel would.
#include "registers.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct file {
	unsigned int flags;
};

SEC("kprobe/vfs_read")
int BPF_KPROBE(on_read, struct file *file)
{
	return file->flags & 1;
}

char LICENSE[] SEC("license") = "GPL";
