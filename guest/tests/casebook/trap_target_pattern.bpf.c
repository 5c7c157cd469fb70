// Targets that are patterns, in sections that take none: the object's own loader expands them.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 n;

SEC("fentry/vfs_*")
int traced(__u64 *ctx)
{
	n++;
	return 0;
}

SEC("kprobe/vfs_*")
int BPF_KPROBE(probed)
{
	n++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
