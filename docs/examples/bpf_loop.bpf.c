// Loops with the helper bpf_loop, which came with 5.17. Kernel 5.10 refuses it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static long add(__u32 index, void *sum)
{
	*(__u64 *)sum += index;
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int handle_getppid(void *ctx)
{
	__u64 sum = 0;

	bpf_loop(100, add, &sum, 0);
	bpf_printk("%llu", sum);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
