// Which sysctls a cgroup may read and write: all of them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 writes;

SEC("cgroup/sysctl")
int allow(struct bpf_sysctl *ctx)
{
	__sync_fetch_and_add(&writes, ctx->write);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
