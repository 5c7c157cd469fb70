// A hook of errors that returns 1: newer kernels look.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("lsm/file_open")
int BPF_PROG(open)
{
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
