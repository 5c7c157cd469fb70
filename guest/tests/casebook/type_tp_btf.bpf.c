// A raw tracepoint with typed arguments: fields are read without a helper.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

int last;

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	last = child->pid;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
