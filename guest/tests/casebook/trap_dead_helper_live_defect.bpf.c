// A helper that is asked for before its call, so that it is dead code on old kernels, and a defect
// of which the verifier's sentence starts with no register: the defect is to blame, not the helper.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_func_id___new { BPF_FUNC_strncmp___new = 182 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

int found;

SEC("raw_tp/sched_switch")
int confused(void *ctx)
{
	char comm[16] = {};

	if (bpf_core_enum_value_exists(enum bpf_func_id___new, BPF_FUNC_strncmp___new))
		found = bpf_strncmp(comm, sizeof(comm), "init");
	// An array is no ring buffer.
	bpf_ringbuf_output(&counts, comm, sizeof(comm), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
