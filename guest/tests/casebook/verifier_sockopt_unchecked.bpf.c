// The value of a socket option is read without a look at its end.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/setsockopt")
int on_set(struct bpf_sockopt *ctx)
{
	__u8 *value = ctx->optval;

	return value[0] == 1;
}

char LICENSE[] SEC("license") = "GPL";
