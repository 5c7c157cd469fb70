// The turns of a cgroup's TCP connections.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 events;

SEC("sockops")
int on_event(struct bpf_sock_ops *ctx)
{
	__sync_fetch_and_add(&events, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
