// Registers are read at an offset that is behind them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/vfs_read")
int look(void *ctx)
{
	return *(volatile __u64 *)(ctx + 512) & 1;
}

char LICENSE[] SEC("license") = "GPL";
