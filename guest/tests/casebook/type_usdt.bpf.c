// A statically defined user-space probe. libbpf reads it from the binary's notes; before 6.6 its
// places in memory become single uprobes, and before 5.15 without cookies.
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

__u64 hits;

SEC("usdt")
int probe(struct pt_regs *ctx)
{
	if (bpf_usdt_arg_cnt(ctx) >= 0)
		__sync_fetch_and_add(&hits, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
