// Classic tracepoints, under both of libbpf's spellings, a system call's among them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 switches, calls;

SEC("tp/sched/sched_switch")
int on_switch(void *ctx)
{
	__sync_fetch_and_add(&switches, 1);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int on_openat(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
