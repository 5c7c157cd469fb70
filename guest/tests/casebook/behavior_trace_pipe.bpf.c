// Prints a number with a width. It loads everywhere; before 5.13 the kernel refuses the format when
// the program runs, so nothing is printed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_mkdir")
int on_mkdir(void *ctx)
{
	static const char plain[] = "a directory, plainly %d";
	static const char wide[] = "a directory, widely %05d";

	bpf_trace_printk(plain, sizeof(plain), 42);
	bpf_trace_printk(wide, sizeof(wide), 42);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
