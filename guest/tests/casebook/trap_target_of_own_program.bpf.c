// A tracer of another program of the object, which its own loader attaches once that is loaded: no
// module is asked for a function of the name.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("fentry/target")
int tracer(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("socket")
int target(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
