// The kernel's version in one of two programs, the other of which the kernel would refuse anyway.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;

__u64 seen;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	seen = LINUX_KERNEL_VERSION;
	return 0;
}

SEC("raw_tp/sched_wakeup")
int rejected(unsigned long long *ctx)
{
	seen = *(__u64 *)ctx[0];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
