// An LSM program that forbids all sockets while it is attached, and a program that needs a network to
// be attached. Each is attached alone.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("lsm/socket_create")
int BPF_PROG(denies, int family, int type, int protocol, int kern)
{
	return -1;
}

SEC("xdp")
int passes(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
