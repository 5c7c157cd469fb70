// A weak kfunc that the kernel has with another prototype, behind a question: libbpf takes it for
// absent, and the program does without.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int bpf_rcu_read_lock(int unused) __ksym __weak;

int without;

SEC("tp_btf/sched_switch")
int locks(void *ctx)
{
	if (bpf_ksym_exists(bpf_rcu_read_lock))
		return bpf_rcu_read_lock(1);
	without++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
