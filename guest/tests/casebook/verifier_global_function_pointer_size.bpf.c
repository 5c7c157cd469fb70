// A global function takes a pointer to memory, and the caller has less of it than its type says.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct record {
	__u64 words[8];
};

__u64 out;

__attribute__((noinline)) int last(struct record *record)
{
	if (!record)
		return 0;
	return (int)record->words[7];
}

SEC("raw_tp/sched_switch")
int call(void *ctx)
{
	__u64 word = bpf_ktime_get_ns();

	out = last((struct record *)&word);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
