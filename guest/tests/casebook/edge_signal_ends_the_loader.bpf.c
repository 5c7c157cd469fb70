// A program that ends every process that makes a system call, the one that attaches it among them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sys_enter")
int on_call(void *ctx)
{
	bpf_send_signal(9);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
