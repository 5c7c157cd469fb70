// A function of the kernel is called that 5.10 has and lets no program call.
#include <linux/ptrace.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <bpf/bpf_tracing.h>

struct tcp_sock {
	__u32 snd_cwnd;
} __attribute__((preserve_access_index));

extern __u32 tcp_slow_start(struct tcp_sock *tp, __u32 acked) __ksym;

struct tcp_congestion_ops {
	__u32 (*ssthresh)(void *sk);
	__u32 (*undo_cwnd)(void *sk);
	void (*cong_avoid)(void *sk, __u32 ack, __u32 acked);
	char name[16];
};

SEC("struct_ops/threshold")
__u32 BPF_PROG(threshold, void *sk)
{
	return 2;
}

SEC("struct_ops/undo")
__u32 BPF_PROG(undo, void *sk)
{
	return 2;
}

SEC("struct_ops/avoid")
void BPF_PROG(avoid, struct tcp_sock *sk, __u32 ack, __u32 acked)
{
	tcp_slow_start(sk, acked);
}

SEC(".struct_ops")
struct tcp_congestion_ops slow = {
	.ssthresh = (void *)threshold,
	.undo_cwnd = (void *)undo,
	.cong_avoid = (void *)avoid,
	.name = "slow_start",
};

char LICENSE[] SEC("license") = "GPL";
