// An enumerator that no kernel has, read without asking.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_map_type___mine { BPF_MAP_TYPE_NONE___mine = 78 };

int kind;

SEC("raw_tp/sched_switch")
int reads(void *ctx)
{
	kind = bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_NONE___mine);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
