// An index of 0 to 63 into an array of 16 bytes on the stack.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int mark(void *ctx)
{
	volatile char seen[16] = {};

	seen[bpf_get_prandom_u32() & 63] = 1;
	return seen[3];
}

char LICENSE[] SEC("license") = "GPL";
