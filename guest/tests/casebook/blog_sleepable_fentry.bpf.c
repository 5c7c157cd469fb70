// tracexec's way to read execve's arguments. Before 7.1 a system call may be traced by a sleepable
// program only where CONFIG_FUNCTION_ERROR_INJECTION is on: Debian, Fedora and RHEL 10 leave it off.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#if defined(__TARGET_ARCH_x86)
#define SYS "__x64_sys_"
struct pt_regs {
	unsigned long di;
} __attribute__((preserve_access_index));
#define ARGUMENT(regs) ((regs)->di)
#elif defined(__TARGET_ARCH_arm64)
#define SYS "__arm64_sys_"
struct pt_regs {
	__u64 regs[31];
} __attribute__((preserve_access_index));
#define ARGUMENT(regs) ((regs)->regs[0])
#elif defined(__TARGET_ARCH_riscv)
#define SYS "__riscv_sys_"
struct pt_regs {
	unsigned long orig_a0;
} __attribute__((preserve_access_index));
#define ARGUMENT(regs) ((regs)->orig_a0)
#endif

char first;

SEC("fentry.s/" SYS "execve")
int BPF_PROG(sys_execve, const struct pt_regs *regs)
{
	bpf_copy_from_user(&first, sizeof(first), (const void *)ARGUMENT(regs));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
