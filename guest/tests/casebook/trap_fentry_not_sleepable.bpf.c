// A helper that may sleep in a program that may not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

long got;

SEC("fentry/vfs_read")
int BPF_PROG(read)
{
	char byte;

	got = bpf_copy_from_user(&byte, 1, (void *)ctx[1]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
