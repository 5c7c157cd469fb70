// A raw tracepoint whose buffer the program may write: `bpf_test_finish` offers its error code.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp.w/bpf_test_finish")
int rewrite(struct bpf_raw_tracepoint_args *ctx)
{
	int *error = (int *)ctx->args[0];

	if (*error < 0)
		*error = 0;
	return 0;
}

SEC("raw_tracepoint.w/bpf_test_finish")
int read_only(struct bpf_raw_tracepoint_args *ctx)
{
	return *(int *)ctx->args[0] < 0;
}

char LICENSE[] SEC("license") = "GPL";
