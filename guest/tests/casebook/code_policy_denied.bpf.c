// A read of kernel memory on a kernel that boots locked down for confidentiality. The kernel says
// only that it has no such helper.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 word;

SEC("raw_tp/sched_switch")
int peek(void *ctx)
{
	bpf_probe_read_kernel(&word, sizeof(word), (void *)bpf_get_current_task());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
