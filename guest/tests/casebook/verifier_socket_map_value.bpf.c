// A kprobe puts a number into a sockhash, whose values are sockets.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("kprobe/tcp_connect")
int on_connect(void *ctx)
{
	__u32 key = 1, value = 1;

	return bpf_map_update_elem(&sockets, &key, &value, 0);
}

char LICENSE[] SEC("license") = "GPL";
