// Weak externs that nothing resolves, one of each kind: they read as zero and nobody is blamed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_no_such_kfunc(int) __ksym __weak;
extern const int no_such_variable __ksym __weak;
extern int CONFIG_NO_SUCH_OPTION __kconfig __weak;

__u64 absent;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	if (bpf_ksym_exists(bpf_no_such_kfunc))
		return bpf_no_such_kfunc(1);
	if (!&no_such_variable && !CONFIG_NO_SUCH_OPTION)
		__sync_fetch_and_add(&absent, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
