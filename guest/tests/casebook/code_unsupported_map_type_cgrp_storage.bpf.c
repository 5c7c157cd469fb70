// Storage that belongs to a cgroup: since 6.2, so not even in 6.1.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct cgroup;

struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

struct task_struct {
	struct css_set *cgroups;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 *value = bpf_cgrp_storage_get(&storage, task->cgroups->dfl_cgrp, NULL,
					    BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
