// The same variable without a type: the symbol is all that is needed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const void kernel_cpustat __ksym;

__u64 address;

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	address = (__u64)&kernel_cpustat;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
