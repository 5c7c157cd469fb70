// A register is read that no instruction has written on this path.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int guess(void *ctx)
{
	int value;

	asm volatile("%[value] = r7;" : [value] "=r"(value));
	return value & 1;
}

char LICENSE[] SEC("license") = "GPL";
