// A pointer into an arena, in a program that refers to none.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __arena __attribute__((address_space(1)))

__u64 out;

SEC("syscall")
int read_arena(void *ctx)
{
	__u64 __arena *at = (void __arena *)0x1000;

	out = *at;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
