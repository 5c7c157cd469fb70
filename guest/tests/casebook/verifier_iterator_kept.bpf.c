// An open-coded iterator that is not destroyed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_iter_num;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;

__u64 sum;

SEC("raw_tp/sched_switch")
int add(void *ctx)
{
	struct bpf_iter_num it;
	int *next;

	bpf_iter_num_new(&it, 0, 3);
	next = bpf_iter_num_next(&it);
	if (next)
		sum += *next;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
