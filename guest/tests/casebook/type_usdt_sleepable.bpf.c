// The same, by a program that may fault in the user's memory: since 6.0.
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

__u64 hits;

SEC("usdt.s")
int probe(struct pt_regs *ctx)
{
	if (bpf_usdt_arg_cnt(ctx) >= 0)
		__sync_fetch_and_add(&hits, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
