// Calls the kfunc bpf_cpumask_create, which came with 6.3. Kernels 5.10 and 6.1 lack it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

// Size and name are those of the kernel. libbpf compares prototypes and needs the body of the struct.
struct bpf_cpumask {
	__u64 bits;
};

extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *cpumask) __ksym;

SEC("tp_btf/task_newtask")
int handle_newtask(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
