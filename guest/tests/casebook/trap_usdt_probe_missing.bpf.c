// A USDT program for a probe that its file does not have, and one for a file that the guest lacks.
#include <linux/bpf.h>
#include "registers.h"
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <bpf/usdt.bpf.h>

__u64 n;

SEC("usdt//proc/self/exe:ukci:no_such_probe")
int BPF_USDT(missing)
{
	n++;
	return 0;
}

SEC("usdt/libjvm.so:hotspot:gc__begin")
int BPF_USDT(elsewhere)
{
	n++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
