// A write outside the stack frame. The verifier's errno is EACCES, and that is no missing privilege.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int scribble(void *ctx)
{
	asm volatile("r1 = 1; *(u64 *)(r10 + 8) = r1;" : : : "r1", "memory");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
