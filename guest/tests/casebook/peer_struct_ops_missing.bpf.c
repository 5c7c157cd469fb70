// Operations of a struct that no kernel has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct no_such_ops {
	int (*poke)(int value);
} __attribute__((preserve_access_index));

SEC("struct_ops/poke")
int BPF_PROG(poke, int value)
{
	return value;
}

SEC(".struct_ops")
struct no_such_ops operations = {
	.poke = (void *)poke,
};

char LICENSE[] SEC("license") = "GPL";
