// A write beyond the stack, in a helper function: the source line is the callee's.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static __noinline int scribble(int seed)
{
	volatile char buffer[256];
	volatile char *end = buffer + 512;

	buffer[0] = seed;
	end[seed & 1] = 1;
	return buffer[0];
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	return scribble(bpf_get_prandom_u32());
}

char LICENSE[] SEC("license") = "GPL";
