// A kfunc of 6.12 that Debian's 6.12 is built without: SCHED_CLASS_EXT is off there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

extern int scx_bpf_dsq_nr_queued(__u64 dsq) __ksym;

int queued;

SEC("syscall")
int ask(void *ctx)
{
	queued = scx_bpf_dsq_nr_queued(0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
