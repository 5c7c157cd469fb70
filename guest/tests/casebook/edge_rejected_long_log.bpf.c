// A rejection after a long way: the verifier's log is far longer than what is kept of it, and its
// last sentence is the one that counts.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("raw_tp/sched_switch")
int late(void *ctx)
{
	for (int i = 0; i < 4000; i++)
		sum += bpf_get_prandom_u32();
	return *(volatile int *)bpf_get_current_task();
}

char LICENSE[] SEC("license") = "GPL";
