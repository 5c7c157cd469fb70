// A loop that the verifier need not walk: may_goto, 6.9.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
__attribute__((naked)) int loop(void *ctx)
{
	// 1: may_goto 5; if (++r0 <= 10) goto 1
	asm volatile("r0 = 0; .byte 0xe5, 0, 3, 0, 0, 0, 0, 0; r0 += 1; if r0 > 10 goto +1; goto -4;"
		     "exit;");
}

char LICENSE[] SEC("license") = "GPL";
