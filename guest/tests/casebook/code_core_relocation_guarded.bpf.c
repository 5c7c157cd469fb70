// The same asked first: `bpf_core_field_exists` chooses the name that the kernel has, and the other
// read, though it cannot be relocated, is dead code.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct task_struct___old {
	long state;
} __attribute__((preserve_access_index));

struct task_struct {
	unsigned int __state;
} __attribute__((preserve_access_index));

long seen;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___old *old = (void *)task;

	if (bpf_core_field_exists(task->__state))
		seen = BPF_CORE_READ(task, __state);
	else
		seen = BPF_CORE_READ(old, state);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
