// A program is declared as BCC's are, with the arguments of the function beside the context.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct file;
struct pt_regs;

SEC("kprobe/vfs_read")
int on_read(struct pt_regs *ctx, struct file *file, char *buffer, __u64 count)
{
	return count > 4096;
}

char LICENSE[] SEC("license") = "GPL";
