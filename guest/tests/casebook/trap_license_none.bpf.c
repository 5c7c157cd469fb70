// No license section at all.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int say(void *ctx)
{
	bpf_printk("hello");
	return 0;
}
