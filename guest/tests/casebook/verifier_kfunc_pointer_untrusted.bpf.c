// A task that was read out of another one is handed to a kfunc that wants a trusted pointer.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct task_struct {
	struct task_struct *last_wakee;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

SEC("tp_btf/task_newtask")
int BPF_PROG(on_task, struct task_struct *task)
{
	struct task_struct *wakee = task->last_wakee, *held;

	if (!wakee)
		return 0;
	held = bpf_task_acquire(wakee);
	if (held)
		bpf_task_release(held);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
