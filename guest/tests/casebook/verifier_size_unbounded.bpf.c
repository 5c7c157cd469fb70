// The size of a copy is a number from the kernel that is compared with nothing.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char text[256];

SEC("raw_tp/sched_switch")
int copy(void *ctx)
{
	__u64 size = bpf_ktime_get_ns();

	bpf_probe_read_kernel(text, size, (void *)bpf_get_current_task());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
