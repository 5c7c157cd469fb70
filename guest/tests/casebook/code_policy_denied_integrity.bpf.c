// A write to user memory on a kernel that boots locked down for integrity: locked down since 5.14, and
// in the stable 5.10 too.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("kprobe/vfs_read")
int poke(void *ctx)
{
	int word = 0;

	bpf_probe_write_user((void *)8, &word, sizeof(word));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
