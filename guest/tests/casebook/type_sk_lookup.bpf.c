// Which socket of a network namespace gets a connection: since 5.9.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 lookups;

SEC("sk_lookup")
int lookup(struct bpf_sk_lookup *ctx)
{
	__sync_fetch_and_add(&lookups, 1);
	return SK_PASS;
}

char LICENSE[] SEC("license") = "GPL";
