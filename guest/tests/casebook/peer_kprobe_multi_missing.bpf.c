// A pattern that no function matches.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe.multi/no_such_function_zzz")
int enter(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
