// Memory that the program and user space share: since 6.9.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

__u64 runs;

SEC("raw_tp/sched_switch")
int count(void *ctx)
{
	void *map = &arena;

	/* A reference that the compiler cannot drop is all that is wanted of the map here. */
	asm volatile("" : : "r"(map));
	__sync_fetch_and_add(&runs, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
