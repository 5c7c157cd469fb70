// A function of which the compiler kept only a copy with another name: BTF has the name of the source.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 n;

SEC("fexit/finish_task_switch")
int switched(__u64 *ctx)
{
	n++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
