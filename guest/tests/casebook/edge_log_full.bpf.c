// A loop that reads its context often. At any log level, the verifier writes a line for each of these
// reads, so that a log of 256 KiB is full. A loader that asks for no log gets the program in.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("fentry/vfs_read")
int reads_often(__u64 *ctx)
{
	__u64 s = 0;

	for (int i = 0; i < 8000; i++) {
		__u64 v;

		asm volatile("%0 = *(u64 *)(%1 + 0)" : "=r"(v) : "r"(ctx));
		s += i;
	}
	sum = s;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
