// Counts in an arena. On arm64, the JIT does that only with LSE atomics (ARMv8.1).
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

long __attribute__((address_space(1))) calls;

SEC("syscall")
int count(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	// The arena is that of the program only if the program names it.
	asm volatile("" : : "r"(&arena));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
