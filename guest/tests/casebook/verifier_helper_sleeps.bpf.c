// A helper that may sleep, in a program that may not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char text[16];

SEC("fentry/vfs_read")
int copy(void *ctx)
{
	bpf_copy_from_user(text, sizeof(text), (void *)1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
