// The 32-bit execve of an x86_64 kernel: absent without CONFIG_IA32_EMULATION, which every locked
// kernel still has.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct pt_regs;

__u64 calls, probes;

SEC("fentry/__ia32_compat_sys_execve")
int BPF_PROG(compat_sys_execve, const struct pt_regs *regs)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

SEC("kprobe/__ia32_compat_sys_execve")
int compat_sys_execve_kprobe(void *ctx)
{
	__sync_fetch_and_add(&probes, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
