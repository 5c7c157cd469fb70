// clang: -mcpu=v4
// Instructions of the fourth set: signed division and sign-extending moves and loads, byte swap.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile signed char small = -3;
volatile long left = -7, right = 2, result;

SEC("raw_tp/sched_switch")
int divide(void *ctx)
{
	result = left / right + small;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
