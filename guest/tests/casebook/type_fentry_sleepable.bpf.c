// Sleepable trampolines on a system call. Until 7.1 the verifier took the list of functions with
// error injection for the list of those that may sleep: with that option off, none may.
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

SEC("fentry.s/" SYS "openat")
int BPF_PROG(enter, const struct pt_regs *regs)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

SEC("fexit.s/" SYS "openat")
int BPF_PROG(leave, const struct pt_regs *regs)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

SEC("fmod_ret.s/" SYS "openat")
int BPF_PROG(modify, const struct pt_regs *regs, int ret)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return ret;
}

char LICENSE[] SEC("license") = "GPL";
