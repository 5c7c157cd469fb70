// Which device nodes a cgroup may open: all of them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 questions;

SEC("cgroup/dev")
int allow(struct bpf_cgroup_dev_ctx *ctx)
{
	__sync_fetch_and_add(&questions, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
