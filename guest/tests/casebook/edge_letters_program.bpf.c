// The kernel accepts no `$` in the name of a program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_getppid")
int has$dollar(void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpid")
int has_none(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
