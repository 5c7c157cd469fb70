// A helper for GPL-compatible programs, called from one of another licence.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 word;

SEC("raw_tp/sched_switch")
int peek(void *ctx)
{
	bpf_probe_read_kernel(&word, sizeof(word), ctx);
	return 0;
}

char LICENSE[] SEC("license") = "Proprietary";
