// A loop that ends, after more steps than the verifier walks: E2BIG at 1,000,000 instructions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int long_loop(void *ctx)
{
	for (int i = 0; i < 1000000; i++)
		sum += bpf_get_prandom_u32();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
