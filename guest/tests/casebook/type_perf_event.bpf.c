// A sample of a perf event: a software clock will do.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct bpf_perf_event_data;

__u64 samples;

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	__sync_fetch_and_add(&samples, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
