// A function whose name is close to a module's and that no module has: only now is it missing.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/nf_conntrack_inn")
int enter(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
