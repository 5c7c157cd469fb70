// A scheduler whose init fails. The kernel registers it all the same, and says in its log why it disabled
// it at once.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sched_ext_ops {
	int (*init)(void);
	char name[128];
} __attribute__((preserve_access_index));

SEC("struct_ops.s/init")
int failing_init(void *ctx)
{
	return -22;
}

SEC(".struct_ops.link")
struct sched_ext_ops failing = {
	.init = (void *)failing_init,
	.name = "failing",
};

char LICENSE[] SEC("license") = "GPL";
