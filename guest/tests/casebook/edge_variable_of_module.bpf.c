// The address of a variable of a module: libbpf finds it in /proc/kallsyms once the module is loaded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern const void nf_conntrack_htable_size __ksym;

__u64 address;

SEC("raw_tp/sys_enter")
int on_call(void *ctx)
{
	address = (__u64)&nf_conntrack_htable_size;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
