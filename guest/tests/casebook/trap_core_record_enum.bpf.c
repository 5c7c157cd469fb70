// A tracepoint's record whose field is an enum since 5.17, read as an integer: there and of another
// kind on new kernels, not there on old ones.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct trace_event_raw_kfree_skb {
	int reason;
} __attribute__((preserve_access_index));

int seen;

SEC("tracepoint/skb/kfree_skb")
int freed(struct trace_event_raw_kfree_skb *ctx)
{
	seen = BPF_CORE_READ(ctx, reason);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
