// Options of the kernel's configuration, read from /boot/config-<release>; an absent one is weak.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int CONFIG_HZ __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern _Bool CONFIG_NO_SUCH_OPTION __kconfig __weak;

__u64 sum;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	if (CONFIG_BPF_SYSCALL && !CONFIG_NO_SUCH_OPTION)
		__sync_fetch_and_add(&sum, CONFIG_HZ);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
