// Tail calls through a program array that the object fills by itself: such an object cannot be
// loaded one program at a time.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int second(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} steps SEC(".maps") = {
	.values = { [1] = (void *)&second },
};

__u64 calls;

SEC("raw_tp/sched_switch")
int first(void *ctx)
{
	bpf_tail_call(ctx, &steps, 1);
	return 0;
}

SEC("raw_tp/sched_switch")
int second(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
