// A loop that ends, after more steps than the verifier walks: E2BIG at 1,000,000 instructions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int long_loop(void *ctx)
{
	__u64 x = 0;

	/* Long strides between the branches: the limit is reached without a state at each step. */
	for (int i = 0; i < 1000000; i++) {
#pragma unroll
		for (int step = 0; step < 200; step++)
			x = x * 3 + bpf_get_prandom_u32();
	}
	sum = x;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
