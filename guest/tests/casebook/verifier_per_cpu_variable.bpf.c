// A per-CPU variable of the kernel is read as if it were an ordinary one.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const int bpf_prog_active __ksym;

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	return *(volatile int *)&bpf_prog_active & 1;
}

char LICENSE[] SEC("license") = "GPL";
