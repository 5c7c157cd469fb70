// The x32 execve, which Debian leaves out (CONFIG_X86_X32_ABI): the real form, on real kernels, of
// an alternative system call interface that a program takes for granted.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/__x32_compat_sys_execve")
int x32_sys_execve(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
