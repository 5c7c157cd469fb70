// Local storage with a value of 128 KiB.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	__u8 bytes[128 << 10];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct value);
} storage SEC(".maps");

SEC("cgroup/sock_create")
int created(struct bpf_sock *ctx)
{
	return bpf_sk_storage_get(&storage, ctx, 0, 0) ? 1 : 1;
}

char LICENSE[] SEC("license") = "GPL";
