// tracexec's remedy: a kfunc that is called where it exists, and a helper's fallback where not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern void bpf_rcu_read_lock(void) __ksym __weak;
extern void bpf_rcu_read_unlock(void) __ksym __weak;

__u64 guarded, plain;

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch)
{
	if (bpf_ksym_exists(bpf_rcu_read_lock) && bpf_ksym_exists(bpf_rcu_read_unlock)) {
		bpf_rcu_read_lock();
		guarded++;
		bpf_rcu_read_unlock();
	} else {
		plain++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
