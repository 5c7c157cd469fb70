// A program that is named after the function that it wants, which is not there: its own JITed image is
// in kallsyms under nearly the same name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/account_page_dirtied_by_ukci")
int account_page_dirtied_by_ukci(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
