// <linux/ptrace.h>, and the registers of a kprobe on the other architectures, as their
// <asm/ptrace.h> declares them: the <asm/...> headers that build.sh finds are those of the build
// machine.
#include <linux/ptrace.h>
#if defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	unsigned long long regs[31];
	unsigned long long sp, pc, pstate;
};
#elif defined(__TARGET_ARCH_riscv)
struct user_regs_struct {
	unsigned long pc, ra, sp, gp, tp, t0, t1, t2, s0, s1;
	unsigned long a0, a1, a2, a3, a4, a5, a6, a7;
	unsigned long s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6;
};
#endif
