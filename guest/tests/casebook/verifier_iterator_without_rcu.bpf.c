// A sleepable program walks tasks outside of an RCU read-side section.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct task_struct;

struct bpf_iter_task {
	__u64 opaque[3];
} __attribute__((aligned(8)));

extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

SEC("syscall")
int walk(void *ctx)
{
	struct bpf_iter_task it;
	int tasks = 0;

	bpf_iter_task_new(&it, 0, 0);
	while (bpf_iter_task_next(&it))
		tasks++;
	bpf_iter_task_destroy(&it);
	return tasks;
}

char LICENSE[] SEC("license") = "GPL";
