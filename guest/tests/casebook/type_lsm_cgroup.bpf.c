// A security hook for the tasks of one cgroup: since 6.0. Returns 1 to allow.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct socket;

__u64 sockets;

SEC("lsm_cgroup/socket_create")
int BPF_PROG(on_create, int family, int type, int protocol, int kern)
{
	__sync_fetch_and_add(&sockets, 1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
