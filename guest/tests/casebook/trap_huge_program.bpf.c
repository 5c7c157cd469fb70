// A million and eight instructions: the kernel does not even ask the verifier.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int huge(void *ctx)
{
	asm volatile(".rept 1000000; r0 = 1; .endr" ::: "r0");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
