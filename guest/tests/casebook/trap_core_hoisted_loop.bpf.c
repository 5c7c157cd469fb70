// A CO-RE offset that the compiler puts before the loop that reads with it.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int pid;
	struct task_struct *real_parent;
	int ukci_no_such_field;
} __attribute__((preserve_access_index));

int sum;

SEC("raw_tp/sched_switch")
int parents(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		sum += BPF_CORE_READ(task, pid);
		sum += BPF_CORE_READ(task, ukci_no_such_field);
		task = BPF_CORE_READ(task, real_parent);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
