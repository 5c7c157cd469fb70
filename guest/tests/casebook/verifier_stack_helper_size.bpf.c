// A helper is told to write 64 bytes to a buffer of 16 bytes at the top of the stack.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int name(void *ctx)
{
	char text[16] = {};

	bpf_get_current_comm(text, 64);
	return text[0];
}

char LICENSE[] SEC("license") = "GPL";
