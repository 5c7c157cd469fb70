// A security hook. It attaches wherever CONFIG_BPF_LSM is on, and is called only where `bpf` is
// among the active LSMs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct file;

__u64 opens;

SEC("lsm/file_open")
int BPF_PROG(on_open, struct file *file, int ret)
{
	__sync_fetch_and_add(&opens, 1);
	return ret;
}

char LICENSE[] SEC("license") = "GPL";
