// An iterator that may sleep. 5.10 takes it already, without a word on who may.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct task_struct;
struct bpf_iter_meta;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

int word;

SEC("iter.s/task")
int tasks(struct bpf_iter__task *ctx)
{
	if (ctx->task)
		bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
