// One program array, called through from two LSM hooks of different prototypes.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

SEC("lsm/file_open")
int on_open(void *ctx)
{
	bpf_tail_call(ctx, &tails, 0);
	return 0;
}

SEC("lsm/path_unlink")
int on_unlink(void *ctx)
{
	bpf_tail_call(ctx, &tails, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
