// A uprobe in the agent's own binary, on a function that it does not have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("uprobe//proc/self/exe:no_such_function")
int hit(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
