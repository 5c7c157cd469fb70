// An index that is known at run time only into an array of a kernel struct.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct task_struct {
	char comm[16];
} __attribute__((preserve_access_index));

SEC("tp_btf/task_newtask")
int BPF_PROG(on_task, struct task_struct *task)
{
	return task->comm[bpf_get_prandom_u32() & 15] & 1;
}

char LICENSE[] SEC("license") = "GPL";
