// A part of a field of struct bpf_sock_ops, which the kernel gives only as a whole.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("sockops")
int on_socket(struct bpf_sock_ops *ctx)
{
	return *(volatile __u16 *)&ctx->family == 2;
}

char LICENSE[] SEC("license") = "GPL";
