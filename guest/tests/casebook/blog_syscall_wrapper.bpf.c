// The symbol of a system call without a wrapper, right for riscv64 below 6.6 and absent wherever
// the architecture wraps its system calls (`__x64_sys_execve`).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/__se_sys_execve")
int sys_execve(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
