// The same without a program: a `struct_ops` map whose operations are all null is registered like any
// other, and refused like any other.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sched_ext_ops {
	__u32 timeout_ms;
	char name[128];
} __attribute__((preserve_access_index));

SEC(".struct_ops.link")
struct sched_ext_ops slow = {
	.timeout_ms = 60000,
	.name = "slow",
};

char LICENSE[] SEC("license") = "GPL";
