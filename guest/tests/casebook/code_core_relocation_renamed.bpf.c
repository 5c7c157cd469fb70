// The real thing: `task_struct.state` became `__state` in 5.14, and a program that knows only the
// old name fails from there on.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct task_struct {
	long state;
} __attribute__((preserve_access_index));

long seen;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	seen = BPF_CORE_READ(task, state);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
