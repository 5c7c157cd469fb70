// A callback on a kernel that boots with its JIT off, as riscv64 kernels do by default.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_map;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static long visit(struct bpf_map *map, const void *key, void *value, void *ctx)
{
	__sync_fetch_and_add((__u64 *)value, 1);
	return 0;
}

SEC("raw_tp/sched_switch")
int visiting(void *ctx)
{
	bpf_for_each_map_elem(&counts, visit, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
