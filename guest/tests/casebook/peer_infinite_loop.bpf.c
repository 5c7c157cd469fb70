// A loop that does not end.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int spin(void *ctx)
{
	for (;;)
		asm volatile("");
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
