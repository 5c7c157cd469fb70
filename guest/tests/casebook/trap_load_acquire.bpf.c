// A load that acquires and a store that releases, 6.15: clang 19 has no words for them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 value;

SEC("raw_tp/sched_switch")
int acquire(void *ctx)
{
	__u64 *at = &value, seen;

	// BPF_STX | BPF_ATOMIC | BPF_DW, r0 = load_acquire(r1), imm 0x100
	asm volatile("r1 = %[at]; .byte 0xdb, 0x10, 0, 0, 0, 1, 0, 0; %[seen] = r0"
		     : [seen] "=r"(seen)
		     : [at] "r"(at)
		     : "r0", "r1", "memory");
	return seen != 0;
}

char LICENSE[] SEC("license") = "GPL";
