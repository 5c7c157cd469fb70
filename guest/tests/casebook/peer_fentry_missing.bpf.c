// A function that no kernel has: fentry looks it up when the program is loaded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/no_such_function_zzz")
int enter(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
