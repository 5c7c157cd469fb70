// A scheduler that lets tasks wait longer than the watchdog does at most (30 s, SCX_WATCHDOG_MAX_TIMEOUT).
// It loads, and the kernel refuses its registration with E2BIG and not a word.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct;

struct sched_ext_ops {
	void (*running)(struct task_struct *p);
	__u32 timeout_ms;
	char name[128];
} __attribute__((preserve_access_index));

SEC("struct_ops/running")
void BPF_PROG(running, struct task_struct *p)
{
}

SEC(".struct_ops.link")
struct sched_ext_ops slow = {
	.running = (void *)running,
	.timeout_ms = 60000,
	.name = "slow",
};

char LICENSE[] SEC("license") = "GPL";
