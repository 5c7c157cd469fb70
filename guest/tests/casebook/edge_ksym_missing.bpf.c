// A kernel variable that no kernel has, beside a program that does not read it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const int no_such_variable __ksym;

__u64 calls;

SEC("raw_tp/sched_switch")
int bad(void *ctx)
{
	const void *address = &no_such_variable;

	/* The compiler knows the variable's alignment, and must not answer from that. */
	asm volatile("" : "+r"(address));
	return address != NULL;
}

SEC("raw_tp/sched_switch")
int good(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
