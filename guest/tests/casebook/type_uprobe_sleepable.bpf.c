// A uprobe that may fault in the user's memory: since 6.0.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int word;

SEC("uprobe.s")
int enter(void *ctx)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

SEC("uretprobe.s")
int leave(void *ctx)
{
	bpf_copy_from_user(&word, sizeof(word), (void *)8);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
