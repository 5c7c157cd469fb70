// A whole struct that no kernel has: its field is not what is missing.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct ukci_no_such_struct {
	int value;
} __attribute__((preserve_access_index));

int seen;

SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	struct ukci_no_such_struct *task = (void *)bpf_get_current_task();

	seen = BPF_CORE_READ(task, value);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
