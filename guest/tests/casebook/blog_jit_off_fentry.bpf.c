// fentry with the JIT off: the trampoline is machine code all the same and calls the interpreter, so
// it attaches and fires on x86_64.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct file;

__u64 calls;

SEC("fentry/vfs_read")
int BPF_PROG(enter, struct file *file)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
