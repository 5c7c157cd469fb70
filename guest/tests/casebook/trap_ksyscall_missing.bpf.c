// A system call that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("ksyscall/no_such_call")
int hit(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
