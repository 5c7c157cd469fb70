// A function that folios renamed: account_page_dirtied is folio_account_dirtied since 5.18.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/account_page_dirtied")
int on_dirtied(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
