// Functions that were renamed so that their words show it, or so that nothing does.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe/__do_page_cache_readahead")
int on_readahead(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kprobe/generic_make_request")
int on_request(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kprobe/_do_fork")
int on_fork(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
