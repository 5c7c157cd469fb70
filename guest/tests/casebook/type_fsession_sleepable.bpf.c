// One sleepable trampoline program for a system call's entry and exit: since 7.0, and on system calls
// since 7.1 (see type_fentry_sleepable).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#if defined(__TARGET_ARCH_x86)
#define SYS "__x64_sys_"
#elif defined(__TARGET_ARCH_arm64)
#define SYS "__arm64_sys_"
#elif defined(__TARGET_ARCH_riscv)
#define SYS "__riscv_sys_"
#endif

struct pt_regs;

int word;

SEC("fsession.s/" SYS "openat")
int BPF_PROG(session, const struct pt_regs *regs)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
