// A weak kfunc, called without a question.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int no_such_kfunc(void) __ksym __weak;

SEC("tp_btf/sched_switch")
int calls(void *ctx)
{
	return no_such_kfunc();
}

char LICENSE[] SEC("license") = "GPL";
