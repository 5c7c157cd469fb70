// A program that may return 0 or 1 returns what a helper gave it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int refuse(struct bpf_sock_addr *ctx)
{
	return bpf_get_prandom_u32();
}

char LICENSE[] SEC("license") = "GPL";
