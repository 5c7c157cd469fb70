// A system call by its own name: libbpf finds the wrapper (`__x64_sys_…`) on the kernel it runs on.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls, returns;

SEC("ksyscall/openat")
int enter(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kretsyscall/openat")
int leave(void *ctx)
{
	__sync_fetch_and_add(&returns, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
