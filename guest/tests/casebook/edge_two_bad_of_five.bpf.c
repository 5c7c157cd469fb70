// Five programs, two of them bad, each in its own way: both are named, and the good are not blamed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

__u64 calls;

SEC("raw_tp/sched_switch")
int good_one(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("raw_tp/sched_switch")
int bad_value(void *ctx)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	*value += 1;
	return 0;
}

SEC("kprobe/vfs_read")
int good_two(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kprobe/vfs_read")
int bad_return(void *ctx)
{
	return *(volatile int *)bpf_get_current_task();
}

SEC("tp/sched/sched_switch")
int good_three(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&counts, &key);

	if (value)
		*value += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
