// Two fields that no kernel has. The first is asked for before its read, the second is not: the
// second is to blame.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int pid;
	int guarded_size;
	int naked_size;
} __attribute__((preserve_access_index));

int seen;

SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (bpf_core_field_exists(task->guarded_size))
		seen = BPF_CORE_READ(task, guarded_size);
	seen += BPF_CORE_READ(task, naked_size);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
