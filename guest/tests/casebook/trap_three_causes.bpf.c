// Three programs and three causes: all must be told, also that of the program that loads and would
// not attach.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int no_such_field;
} __attribute__((preserve_access_index));

__u64 calls;

SEC("kprobe/no_such_function_of_the_kernel")
int missing_function(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("raw_tp/sys_enter")
int bad_pointer(unsigned long long *ctx)
{
	calls = *(__u64 *)ctx[0];
	return 0;
}

SEC("raw_tp/sys_exit")
int missing_field(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	calls = BPF_CORE_READ(task, no_such_field);
	return 0;
}

SEC("raw_tp/sched_switch")
int fine(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
