// The fifth argument of a tracepoint that has fewer: the verifier takes it, the attachment does not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 seen;

SEC("raw_tp/sched_process_exit")
int fifth(struct bpf_raw_tracepoint_args *ctx)
{
	seen = ctx->args[11];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
