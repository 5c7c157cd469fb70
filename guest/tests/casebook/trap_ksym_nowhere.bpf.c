// A typed variable that the kernel has neither in its BTF nor as a symbol.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int ukci_no_such_variable __ksym;

__u64 seen;

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	int *value = bpf_per_cpu_ptr(&ukci_no_such_variable, 0);

	if (value)
		seen = *value;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
