// A BPF object of the other byte order: libbpf opens it and cannot load it.
// clang: -target bpfeb
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("raw_tp/sched_switch")
int on_switch(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
