// bpf_loop with a static callback, asked for before the call. Kernels before 5.13 do not know what a
// callback is and refuse it, dead or not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_func_id___new { BPF_FUNC_loop___new = 181 };

int turns;

static long turn(__u32 index, void *ctx)
{
	turns++;
	return 0;
}

SEC("raw_tp/sched_switch")
int loops(void *ctx)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___new, BPF_FUNC_loop___new))
		bpf_loop(10, turn, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
