// A CO-RE read of a field that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	int no_such_field;
} __attribute__((preserve_access_index));

int seen;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	seen = BPF_CORE_READ(task, no_such_field);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
