// A security hook that may sleep: `bprm_committed_creds` is the one that 5.10 already allows.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct linux_binprm;

int word;

SEC("lsm.s/bprm_committed_creds")
int BPF_PROG(on_exec, struct linux_binprm *bprm)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
