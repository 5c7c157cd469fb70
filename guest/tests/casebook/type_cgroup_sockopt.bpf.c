// A cgroup's socket options, set and read.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 gets, sets;

SEC("cgroup/getsockopt")
int on_get(struct bpf_sockopt *ctx)
{
	__sync_fetch_and_add(&gets, 1);
	return 1;
}

SEC("cgroup/setsockopt")
int on_set(struct bpf_sockopt *ctx)
{
	__sync_fetch_and_add(&sets, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
