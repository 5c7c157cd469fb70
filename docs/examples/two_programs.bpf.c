// One good program, and one that calls bpf_loop. On 5.10, only the second is at fault.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static long nothing(__u32 index, void *ctx)
{
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int good(void *ctx)
{
	bpf_printk("getppid");
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpid")
int loops(void *ctx)
{
	bpf_loop(10, nothing, (void *)0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
