// A USDT program without the maps of <bpf/usdt.bpf.h>: libbpf declines to attach it.
#include <linux/bpf.h>
#include "registers.h"
#include <bpf/bpf_helpers.h>

__u64 n;

SEC("usdt")
int on_gc(struct pt_regs *ctx)
{
	n++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
