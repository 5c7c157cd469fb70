// The kernel's version as a weak extern: libbpf gives up over it all the same.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig __weak;

__u64 old, new;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	if (LINUX_KERNEL_VERSION < 0x060100)
		__sync_fetch_and_add(&old, 1);
	else
		__sync_fetch_and_add(&new, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
