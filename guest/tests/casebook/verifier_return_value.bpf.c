// A program for packets of a control group returns a verdict of the traffic control, 2.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define TC_ACT_SHOT 2

SEC("cgroup/connect4")
int refuse(struct bpf_sock_addr *ctx)
{
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
