// A global function with a pointer to a struct, which 5.10 does not take.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct state {
	__u64 sum;
	__u64 mixed;
};

__u64 out;

__attribute__((noinline)) int advance(struct state *state, __u64 by)
{
	if (!state)
		return -1;
	state->sum += by;
	state->mixed ^= state->sum;
	return (int)state->mixed;
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct state state = { .sum = bpf_ktime_get_ns(), .mixed = 7 };

	out = advance(&state, bpf_get_prandom_u32());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
