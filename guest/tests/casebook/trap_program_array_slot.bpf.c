// The array is for programs that are attached as its first user is.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int bound(struct bpf_sock_addr *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = { [0] = (void *)&bound },
};

SEC("cgroup/sendmsg4")
int sent(struct bpf_sock_addr *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return 1;
}

SEC("cgroup/bind6")
int bound(struct bpf_sock_addr *ctx)
{
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
