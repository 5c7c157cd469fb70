// A proprietary program with two kfuncs, of which the weak one, earlier in the alphabet, is never
// called.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern void aaa_no_such_kfunc(void) __ksym __weak;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;

SEC("tp_btf/sched_switch")
int lock(void *ctx)
{
	if (bpf_ksym_exists(aaa_no_such_kfunc))
		aaa_no_such_kfunc();
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 0;
}

char LICENSE[] SEC("license") = "Proprietary";
