// No compiler takes it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_getpid")
int handle(void *ctx)
{
	return undeclared;
}

char LICENSE[] SEC("license") = "GPL";
