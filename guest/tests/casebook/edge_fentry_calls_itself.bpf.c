// Every trampoline calls __rcu_read_lock() where RCU is preemptible, so a program there is called by its
// own call. Debian's 6.1 takes it and hangs; later kernels refuse it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/__rcu_read_lock")
int on_lock(void *ctx)
{
	return 0;
}

SEC("raw_tp/sys_enter")
int on_call(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
