// The field is there, and of another kind: a struct, where the object has an integer.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct cred {
	unsigned long long cap_effective;
} __attribute__((preserve_access_index));

unsigned long long caps;

SEC("fentry/commit_creds")
int BPF_PROG(on_creds, struct cred *new)
{
	caps = new->cap_effective;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
