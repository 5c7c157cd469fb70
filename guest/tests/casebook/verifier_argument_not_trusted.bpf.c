// An argument of a traced function is passed to a kfunc that takes trusted pointers only.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

SEC("fentry/wake_up_new_task")
int BPF_PROG(on_new, struct task_struct *task)
{
	struct task_struct *acquired = bpf_task_acquire(task);

	if (acquired)
		bpf_task_release(acquired);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
