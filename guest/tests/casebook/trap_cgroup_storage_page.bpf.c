// A value of cgroup storage that is larger than a page, which old kernels do not take.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct block {
	__u8 bytes[8192];
};

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, struct block);
} blocks SEC(".maps");

SEC("cgroup_skb/egress")
int on_packet(struct __sk_buff *skb)
{
	struct block *block = bpf_get_local_storage(&blocks, 0);

	block->bytes[0]++;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
