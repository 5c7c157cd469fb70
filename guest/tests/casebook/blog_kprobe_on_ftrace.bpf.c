// A kprobe at a function's entry, which on riscv64 is an ftrace location: refused with EINVAL where
// the architecture has no CONFIG_KPROBES_ON_FTRACE.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if defined(__TARGET_ARCH_x86)
#define SYS "__x64_sys_"
#elif defined(__TARGET_ARCH_arm64)
#define SYS "__arm64_sys_"
#elif defined(__TARGET_ARCH_riscv)
#define SYS "__riscv_sys_"
#endif

__u64 calls;

SEC("kprobe/" SYS "execve")
int sys_execve_kprobe(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
