// A security hook that exists nowhere.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("lsm/file_opened")
int on_open(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
