// Programs may write the port, and only all of the field at once.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int to_80(struct bpf_sock_addr *ctx)
{
	*(volatile __u16 *)&ctx->user_port = 0x5000;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
