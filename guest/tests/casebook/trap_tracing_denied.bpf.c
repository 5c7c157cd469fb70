// A function that the kernel's own trampolines call: kernels that know the danger refuse it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/migrate_disable")
int on_disable(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
