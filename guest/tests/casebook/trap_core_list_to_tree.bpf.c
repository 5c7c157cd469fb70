// The list of a process's memory areas is a tree now, which no program can walk by itself.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

struct vm_area_struct {
	unsigned long vm_start;
} __attribute__((preserve_access_index));

struct mm_struct {
	struct vm_area_struct *mmap;
} __attribute__((preserve_access_index));

struct task_struct {
	struct mm_struct *mm;
} __attribute__((preserve_access_index));

unsigned long first;

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct vm_area_struct *area = BPF_CORE_READ(task, mm, mmap);

	first = BPF_CORE_READ(area, vm_start);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
