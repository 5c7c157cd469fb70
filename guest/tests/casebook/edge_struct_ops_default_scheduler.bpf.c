// A scheduler without a program: the kernel's defaults do all of its work.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sched_ext_ops {
	__u32 timeout_ms;
	char name[128];
} __attribute__((preserve_access_index));

SEC(".struct_ops.link")
struct sched_ext_ops by_default = {
	.timeout_ms = 30000,
	.name = "by_default",
};

char LICENSE[] SEC("license") = "GPL";
