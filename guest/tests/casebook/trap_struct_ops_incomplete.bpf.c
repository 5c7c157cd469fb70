// A congestion control without an operation that every one must have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sock;

struct tcp_congestion_ops {
	char name[16];
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
} __attribute__((preserve_access_index));

SEC("struct_ops/cong_avoid")
void BPF_PROG(cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC(".struct_ops")
struct tcp_congestion_ops trap_half = {
	.name = "trap_half",
	.cong_avoid = (void *)cong_avoid,
};

char LICENSE[] SEC("license") = "GPL";
