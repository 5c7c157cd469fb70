// An LSM hook by the name of the function that calls it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("lsm/security_file_open")
int BPF_PROG(open)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
