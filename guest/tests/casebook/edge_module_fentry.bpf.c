// A function that only a module has: missing until `nf_conntrack` is loaded, and not missing then.
// 5.10 gives modules no BTF, so there nothing can make it traceable this way.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct sk_buff;

__u64 packets;

SEC("fentry/nf_conntrack_in")
int BPF_PROG(enter, struct sk_buff *skb)
{
	__sync_fetch_and_add(&packets, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
