// A field of IPv6 addresses is read in a program for connect() over IPv4.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int watch(struct bpf_sock_addr *ctx)
{
	return ctx->user_ip6[3] != 1;
}

char LICENSE[] SEC("license") = "GPL";
