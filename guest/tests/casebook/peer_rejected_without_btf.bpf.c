// A verifier rejection of an object that has no BTF: it is the program's fault, not BTF's, and there
// is no source line to show.
// clang: -g0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int peek(void *ctx)
{
	return *(volatile int *)(bpf_get_current_task() + 8);
}

char LICENSE[] SEC("license") = "GPL";
