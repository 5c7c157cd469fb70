// A batch that the kernel does not take, and no program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sched_ext_ops {
	__u32 dispatch_max_batch;
	char name[128];
};

SEC(".struct_ops.link")
struct sched_ext_ops batches = { .dispatch_max_batch = 0x90000000u, .name = "batches" };

char LICENSE[] SEC("license") = "GPL";
