// One program array, called through from programs of two types.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} tails SEC(".maps");

SEC("kprobe/do_nanosleep")
int on_sleep(void *ctx)
{
	bpf_tail_call(ctx, &tails, 0);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	bpf_tail_call(ctx, &tails, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
