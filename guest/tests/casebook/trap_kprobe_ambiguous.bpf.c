// A name that several functions of the kernel have.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/type_show")
int count(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
