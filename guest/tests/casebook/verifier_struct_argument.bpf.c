// A function that takes a struct by value is traced by fentry, which 5.10 cannot.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/from_kuid")
int on_from(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
