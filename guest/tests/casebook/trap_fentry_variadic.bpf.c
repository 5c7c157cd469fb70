// A function of variable arguments.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("fentry/seq_printf")
int BPF_PROG(print)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
