// clang: -mcpu=v4
// A byte swap of the fourth set.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

volatile __u64 value = 1;

SEC("raw_tp/sched_switch")
int swap(void *ctx)
{
	value = __builtin_bswap64(value);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
