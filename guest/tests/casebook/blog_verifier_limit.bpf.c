// A loop that ends, after more steps than the verifier walks: E2BIG at 1,000,000 instructions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int long_loop(void *ctx)
{
	__u64 x = bpf_get_prandom_u32();

	/* Long strides between the branches: the limit is reached in seconds, with few states. */
	for (int i = 0; i < 1000000; i++)
		asm volatile(".rept 5000\n%0 ^= 1\n.endr" : "+r"(x));
	sum = x;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
