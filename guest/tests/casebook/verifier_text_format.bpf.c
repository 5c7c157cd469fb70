// Formats of BPF have no floating point.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char out[64];

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	static const char format[] = "%f";
	__u64 args[1] = {5};

	bpf_snprintf(out, sizeof(out), format, args, sizeof(args));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
