// A kfunc takes a callback. From 7.x on its last argument is another type than void *.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct job {
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct job);
} jobs SEC(".maps");

extern int bpf_wq_init(struct bpf_wq *work, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *work, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *work, int (*callback)(void *map, int *key, void *value),
				    unsigned int flags, void *aux) __ksym;

static int run(void *map, int *key, void *value)
{
	return 0;
}

SEC("tc")
int start(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct job *job = bpf_map_lookup_elem(&jobs, &key);

	if (!job || bpf_wq_init(&job->work, &jobs, 0))
		return 0;
	bpf_wq_set_callback_impl(&job->work, run, 0, 0);
	bpf_wq_start(&job->work, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
