// bpf_for: kfuncs of 6.4.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile int total;

SEC("raw_tp/sched_switch")
int adds(void *ctx)
{
	int i;

	bpf_for(i, 0, 100000)
		total += i;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
