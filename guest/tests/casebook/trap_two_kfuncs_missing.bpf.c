// Two programs, each with a kfunc of its own that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int no_such_kfunc_a(void) __ksym;
extern int no_such_kfunc_b(void) __ksym;

SEC("tp_btf/sched_switch")
int first(void *ctx)
{
	return no_such_kfunc_a();
}

SEC("tp_btf/sched_switch")
int second(void *ctx)
{
	return no_such_kfunc_b();
}

char LICENSE[] SEC("license") = "GPL";
