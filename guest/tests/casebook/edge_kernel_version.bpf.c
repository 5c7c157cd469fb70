// The kernel's version as libbpf reads it. libbpf 1.7 cannot read "7.3-cloud-amd64" or
// "Debian 7.3~rc7": on a release candidate the extern does not resolve.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;

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
