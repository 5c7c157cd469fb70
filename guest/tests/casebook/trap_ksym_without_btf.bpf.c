// A per-CPU variable of the kernel by its BTF: 5.10 has the symbol and no BTF of it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct kernel_cpustat {
	__u64 cpustat[10];
};

extern struct kernel_cpustat kernel_cpustat __ksym;

__u64 user;

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	struct kernel_cpustat *stat = bpf_per_cpu_ptr(&kernel_cpustat, 0);

	if (stat)
		user = stat->cpustat[0];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
