// A target that the loader replaces: no kernel has a function so named.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 n;

SEC("kprobe/dummy_kprobe")
int BPF_KPROBE(enter)
{
	n++;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
