// A function in kallsyms and BTF that the compiler inlined and of which a copy is left without an
// ftrace site: EBUSY, and nothing sits there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("fentry/blk_account_io_start")
int io_start(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
