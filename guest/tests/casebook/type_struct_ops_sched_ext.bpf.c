// A scheduler: `struct sched_ext_ops` came with 6.12, where Debian leaves it out. A sleepable
// operation is among its programs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct;

struct sched_ext_ops {
	__s32 (*init)(void);
	void (*enable)(struct task_struct *p);
	char name[128];
} __attribute__((preserve_access_index));

SEC("struct_ops.s/init")
__s32 BPF_PROG(init)
{
	return 0;
}

SEC("struct_ops/enable")
void BPF_PROG(enable, struct task_struct *p)
{
}

SEC(".struct_ops.link")
struct sched_ext_ops casebook = {
	.init = (void *)init,
	.enable = (void *)enable,
	.name = "casebook",
};

char LICENSE[] SEC("license") = "GPL";
