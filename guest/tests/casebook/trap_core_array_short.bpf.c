// The kernel's array is shorter than the object's.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	char comm[64];
} __attribute__((preserve_access_index));

char seen;

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	seen = task->comm[40];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
