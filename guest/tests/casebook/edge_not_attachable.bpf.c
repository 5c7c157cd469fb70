// Sections without a target, which nothing but the object's own loader can attach. They load, and
// that is all that is said of them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("kprobe")
int some_function(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("raw_tp")
int some_tracepoint(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
