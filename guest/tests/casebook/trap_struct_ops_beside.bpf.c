// A congestion control whose operations are all null, beside a program that attaches: the map is
// refused, and must not hide behind the program.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 calls;

SEC("tracepoint/syscalls/sys_enter_getpid")
int on_getpid(void *ctx)
{
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

struct tcp_congestion_ops {
	char name[16];
} __attribute__((preserve_access_index));

SEC(".struct_ops")
struct tcp_congestion_ops empty_control = {
	.name = "empty_control",
};

char LICENSE[] SEC("license") = "GPL";
