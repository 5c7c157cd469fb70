// The size of a copy is what another helper returned, which may be an error.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char text[256];
char again[256];

SEC("raw_tp/sched_switch")
int copy(void *ctx)
{
	void *task = (void *)bpf_get_current_task();
	long size = bpf_probe_read_kernel_str(text, sizeof(text), task);

	bpf_probe_read_kernel(again, size, task);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
