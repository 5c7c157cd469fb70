// A function of more arguments than registers have room for.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 calls;

SEC("fentry/do_mmap")
int BPF_PROG(map)
{
	calls++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
