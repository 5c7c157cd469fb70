// "GPLv2" is not among the words that the kernel takes for the GPL.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int say(void *ctx)
{
	bpf_printk("hello");
	return 0;
}

char LICENSE[] SEC("license") = "GPLv2";
