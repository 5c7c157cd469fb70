// Sixty-five maps in one program, one more than the kernel allows.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MAP(n) struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } m##n SEC(".maps");
#define LOOK(n) asm volatile("r1 = m" #n " ll" ::: "r1");
#define TEN(X, n) X(n##0) X(n##1) X(n##2) X(n##3) X(n##4) X(n##5) X(n##6) X(n##7) X(n##8) X(n##9)
#define ALL(X) TEN(X, 1) TEN(X, 2) TEN(X, 3) TEN(X, 4) TEN(X, 5) TEN(X, 6) X(1) X(2) X(3) X(4) X(5)
ALL(MAP)

SEC("raw_tp/sched_switch")
int look(void *ctx)
{
	ALL(LOOK)
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
