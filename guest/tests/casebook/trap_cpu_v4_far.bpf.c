// A jump of the fourth set, gotol.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
__attribute__((naked)) int jump(void *ctx)
{
	asm volatile("r0 = 0; if r1 == 0 goto +1; gotol +1; r0 = 1; exit;" ::: "r0");
}

char LICENSE[] SEC("license") = "GPL";
