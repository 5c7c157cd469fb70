// Storage that belongs to a task: since 5.11. On riscv64 from 6.19 it loads, attaches, fires, and never
// allocates. Nothing is refused and nothing is logged: only a test of what it does can tell.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

__u64 successes, failures;

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *value = bpf_task_storage_get(&storage, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (value)
		__sync_fetch_and_add(&successes, 1);
	else
		__sync_fetch_and_add(&failures, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
