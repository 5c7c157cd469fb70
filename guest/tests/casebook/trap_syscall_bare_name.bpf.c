// A system call by the name it has in C.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/sys_openat")
int probe(void *ctx)
{
	return 0;
}

SEC("fentry/sys_openat")
int entry(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
