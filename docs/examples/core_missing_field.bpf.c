// Reads task_struct::shoe_size with CO-RE. No kernel has this field, so all of them refuse it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int shoe_size;
} __attribute__((preserve_access_index));

int last_size;

SEC("raw_tp/sched_process_exec")
int handle_exec(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	last_size = BPF_CORE_READ(task, shoe_size);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
