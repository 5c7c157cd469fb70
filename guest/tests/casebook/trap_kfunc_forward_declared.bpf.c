// The struct of the kfunc has no body here, which libbpf takes for another kind of type.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct cgroup;

extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgroup) __ksym;

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	struct cgroup *cgroup = bpf_cgroup_from_id(1);

	if (cgroup)
		bpf_cgroup_release(cgroup);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
