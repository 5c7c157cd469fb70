// A CO-RE offset that the compiler puts at the head of the function, before the line that reads with
// it.
#include <linux/bpf.h>
#include "registers.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct kernel_cap_struct {
	__u32 cap[2];
} __attribute__((preserve_access_index));

typedef struct kernel_cap_struct kernel_cap_t;

struct cred {
	kernel_cap_t cap_effective;
} __attribute__((preserve_access_index));

__u32 caps;

SEC("kprobe/commit_creds")
int BPF_KPROBE(on_creds, struct cred *new)
{
	caps = BPF_CORE_READ(new, cap_effective.cap[0]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
