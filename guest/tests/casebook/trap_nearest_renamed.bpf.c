// A function that 7.x renamed around its rare word: do_unlinkat is filename_unlinkat there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/do_unlinkat")
int on_unlink(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
