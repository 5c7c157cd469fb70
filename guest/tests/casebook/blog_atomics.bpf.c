// An atomic add whose old value is used (BPF_FETCH): x86_64 from 5.12, arm64 from 5.18, riscv64
// from 5.19.
// clang: -mcpu=v3
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 ticket, last;

SEC("raw_tp/sched_switch")
int take(void *ctx)
{
	last = __sync_fetch_and_add(&ticket, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
