// A field beyond the end of a tracepoint's record.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 seen;

SEC("tp/sched/sched_process_exit")
int beyond(char *ctx)
{
	seen = *(__u64 *)(ctx + 256);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
