// An iterator that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("iter/tasks")
int dump(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
