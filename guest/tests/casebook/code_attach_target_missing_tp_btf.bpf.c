// A typed tracepoint that exists nowhere: looked up in BTF when the program is loaded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tp_btf/sched_swicth")
int typed(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
