// CO-RE questions of every kind whose answer differs or is no: size, enumerator, type, bit field.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct no_such_struct {
	int x;
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
	unsigned int sched_reset_on_fork : 1;
} __attribute__((preserve_access_index));

struct task_struct___wide {
	long pid;
} __attribute__((preserve_access_index));

enum bpf_map_type___mine { BPF_MAP_TYPE_HASH___mine = 77, BPF_MAP_TYPE_NONE___mine = 78 };

int kinds, bits, sizes;
long wide;

SEC("raw_tp/sched_switch")
int asks(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___wide *other = (void *)task;

	if (bpf_core_type_exists(struct no_such_struct))
		sizes = bpf_core_type_size(struct no_such_struct);
	if (bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NONE___mine))
		kinds = bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_NONE___mine);
	kinds += bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___mine);
	bits = BPF_CORE_READ_BITFIELD_PROBED(task, sched_reset_on_fork);
	wide = bpf_core_field_size(other->pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
