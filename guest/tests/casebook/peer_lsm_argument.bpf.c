// A hook's argument that it does not have. The word `lsm` in the verifier's log makes no policy.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 seen;

SEC("lsm/file_open")
int on_open(unsigned long long *ctx)
{
	seen = ctx[2];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
