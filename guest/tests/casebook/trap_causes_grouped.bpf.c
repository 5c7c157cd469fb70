// Four programs, two causes: three call what 5.10 lacks, one follows a number.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 n;

static long turn(__u32 index, void *ctx)
{
	return 0;
}

SEC("raw_tp/sched_switch")
int first(void *ctx)
{
	return bpf_loop(4, turn, 0, 0);
}

SEC("raw_tp/sched_wakeup")
int second(void *ctx)
{
	return bpf_loop(5, turn, 0, 0);
}

SEC("raw_tp/sys_enter")
int third(void *ctx)
{
	return bpf_loop(6, turn, 0, 0);
}

SEC("raw_tp/sys_exit")
int pointer(unsigned long long *ctx)
{
	n = *(__u64 *)ctx[0];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
