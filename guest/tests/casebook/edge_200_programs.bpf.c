// Two hundred programs in one object: every one is loaded, attached and judged.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

#define PROGRAM(number)                                                                            \
	SEC("raw_tp/sched_switch")                                                                 \
	int program_##number(void *ctx)                                                            \
	{                                                                                          \
		__sync_fetch_and_add(&calls, 1##number);                                           \
		return 0;                                                                          \
	}

#define TEN(tens)                                                                                  \
	PROGRAM(tens##0)                                                                           \
	PROGRAM(tens##1)                                                                           \
	PROGRAM(tens##2)                                                                           \
	PROGRAM(tens##3)                                                                           \
	PROGRAM(tens##4)                                                                           \
	PROGRAM(tens##5)                                                                           \
	PROGRAM(tens##6)                                                                           \
	PROGRAM(tens##7)                                                                           \
	PROGRAM(tens##8)                                                                           \
	PROGRAM(tens##9)

#define HUNDRED(hundreds)                                                                          \
	TEN(hundreds##0)                                                                           \
	TEN(hundreds##1)                                                                           \
	TEN(hundreds##2)                                                                           \
	TEN(hundreds##3)                                                                           \
	TEN(hundreds##4)                                                                           \
	TEN(hundreds##5)                                                                           \
	TEN(hundreds##6)                                                                           \
	TEN(hundreds##7)                                                                           \
	TEN(hundreds##8)                                                                           \
	TEN(hundreds##9)

HUNDRED(0)
HUNDRED(1)

char LICENSE[] SEC("license") = "GPL";
