// A queueing discipline without a single operation.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct Qdisc_ops {
	char id[16];
} __attribute__((preserve_access_index));

SEC(".struct_ops")
struct Qdisc_ops plain = {
	.id = "trap_plain",
};

char LICENSE[] SEC("license") = "GPL";
