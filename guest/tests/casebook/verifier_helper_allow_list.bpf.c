// bpf_d_path() is for some functions of the kernel only, and vfs_open() is none of them.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct path;

char text[64];

SEC("fentry/vfs_open")
int BPF_PROG(on_open, struct path *path)
{
	bpf_d_path(path, text, sizeof(text));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
