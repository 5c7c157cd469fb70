// A statically defined user-space probe. libbpf reads it from the binary's notes; before 6.6 its
// places in memory become single uprobes, and before 5.15 without cookies.
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>

#if defined(__TARGET_ARCH_x86)
#include <linux/ptrace.h>
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};
#elif defined(__TARGET_ARCH_riscv)
struct user_regs_struct {
	unsigned long pc, ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
	unsigned long s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6;
};
#endif

#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

__u64 hits;

SEC("usdt")
int probe(struct pt_regs *ctx)
{
	if (bpf_usdt_arg_cnt(ctx) >= 0)
		__sync_fetch_and_add(&hits, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
