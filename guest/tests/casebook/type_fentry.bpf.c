// The three trampolines: entry, exit, and the return value of a security hook.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct file;

__u64 calls, returns, opens;

SEC("fentry/vfs_read")
int BPF_PROG(enter, struct file *file)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("fexit/vfs_read")
int BPF_PROG(leave, struct file *file)
{
	__sync_fetch_and_add(&returns, 1);
	return 0;
}

SEC("fmod_ret/security_file_open")
int BPF_PROG(open_allowed, struct file *file, int ret)
{
	__sync_fetch_and_add(&opens, 1);
	return ret;
}

char LICENSE[] SEC("license") = "GPL";
