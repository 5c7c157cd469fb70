// Reads from a number as if it were a pointer, but only on another CPU than the first. A verifier
// that knows of one CPU only does not look at that.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tracepoint/syscalls/sys_enter_getppid")
int not_the_first(void *ctx)
{
	if (bpf_get_smp_processor_id() != 0) {
		volatile long *number = (void *)0xdeadbeef;

		return (int)*number;
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
