// The function exists, and may not be probed: `kprobe_int3_handler` serves the probes themselves.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/kprobe_int3_handler")
int enter(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
