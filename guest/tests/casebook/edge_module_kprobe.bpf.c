// The same function by kprobe, which needs no BTF: it attaches on every kernel once the module is
// loaded.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets;

SEC("kprobe/nf_conntrack_in")
int enter(void *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
