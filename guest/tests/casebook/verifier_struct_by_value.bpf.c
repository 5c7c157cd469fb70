// A function that takes and returns a struct by value is traced by fexit.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fexit/make_kuid")
int on_make(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
