// A field that is read directly, without a helper: the load itself has the offset.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	int pid;
	int ukci_no_such_field;
} __attribute__((preserve_access_index));

int seen, other;

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, _Bool preempt, struct task_struct *prev, struct task_struct *next)
{
	seen = prev->pid;
	other = next->ukci_no_such_field;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
