// Two helpers that are too new. The first is asked for and dead code on old kernels; the second is
// called, and is to blame.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_func_id___new { BPF_FUNC_strncmp___new = 182 };

int found;
__u64 now;

SEC("raw_tp/sched_switch")
int calls(void *ctx)
{
	char comm[16] = {};

	if (bpf_core_enum_value_exists(enum bpf_func_id___new, BPF_FUNC_strncmp___new))
		found = bpf_strncmp(comm, sizeof(comm), "init");
	now = bpf_ktime_get_tai_ns();
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
