// An option that the program must have and that Debian leaves out.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern _Bool CONFIG_FUNCTION_ERROR_INJECTION __kconfig;

__u64 runs;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	if (CONFIG_FUNCTION_ERROR_INJECTION)
		__sync_fetch_and_add(&runs, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
