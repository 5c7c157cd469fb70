// Branches that the verifier must walk one by one: too many jumps are pending before it is through.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int branching(void *ctx)
{
	__u64 x = 0;

	for (int i = 0; i < 20000; i++) {
		if (bpf_get_prandom_u32() & 1)
			x += i;
		else
			x ^= bpf_ktime_get_ns();
	}
	sum = x;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
