// Ten frames, where most kernels allow eight: no loop is to blame.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define DEEP(name, next) __attribute__((noinline)) static int name(volatile int *n) { ++*n; return next(n) + 1; }
__attribute__((noinline)) static int last(volatile int *n) { return *n; }
DEEP(f8, last) DEEP(f7, f8) DEEP(f6, f7) DEEP(f5, f6) DEEP(f4, f5) DEEP(f3, f4) DEEP(f2, f3) DEEP(f1, f2)

SEC("raw_tp/sched_switch")
int dive(void *ctx)
{
	volatile int n = 0;

	return f1(&n);
}

char LICENSE[] SEC("license") = "GPL";
